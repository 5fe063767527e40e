"""What the crash tests declare: flows that mail at once, after a wait, or with what can't be rendered."""

from emailflow_api.compile import compile_resources
from emailflow_api.plans import Plans
from emailflow_api.reading import read_documents

KIND = "com.example.signed_up"
LATER = "com.example.reminded"
BROKEN = "com.example.broken"
CONTRACT = "com.example.strict"
TOPIC = "offers"
MANIFESTS = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {{name: default, namespace: {namespace}}}
spec:
  publicUrl: "https://mail.example.com"
  defaults: {{providerRef: {{name: sink}}, policyRef: {{name: offers}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: sink, namespace: {namespace}, annotations: {{emailflow.dev/deliver: "true"}}}}
spec:
  type: Smtp
  smtp: {{host: 127.0.0.1, port: {port}, tls: None}}
  from: {{address: shop@example.com}}
  retry: {{backoff: PT1S, maxBackoff: PT2S}}
---
apiVersion: emailflow.dev/v1alpha1
kind: ContactPolicy
metadata: {{name: offers, namespace: {namespace}}}
spec: {{topic: offers, consent: OptOut, caps: [{{max: 100, per: P7D, counting: Rolling}}]}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {{name: strict, namespace: {namespace}}}
spec: {{type: com.example.strict, onInvalid: DeadLetter, schema: {{type: object, required: [plan]}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: hello, namespace: {namespace}}}
spec:
  trigger: {{types: [com.example.signed_up]}}
  steps: [{{name: hello, send: {{templateRef: {{name: hello}}}}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: later, namespace: {namespace}}}
spec:
  trigger: {{types: [com.example.reminded]}}
  steps: [{{name: pause, wait: {{for: PT1S}}}}, {{name: hello, send: {{templateRef: {{name: hello}}}}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: broken, namespace: {namespace}}}
spec:
  trigger: {{types: [com.example.broken]}}
  steps: [{{name: hello, send: {{templateRef: {{name: broken}}}}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: hello, namespace: {namespace}}}
spec: {{subject: "Hello {{{{ event.data.n }}}}", markdown: "Hi"}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: broken, namespace: {namespace}}}
spec: {{subject: "Hello {{{{ event.data.missing }}}}", markdown: "Hi"}}
"""


def compiled(namespace: str, port: int) -> Plans:
    """The plans of one runtime whose mails go to the sink at this port."""
    text = MANIFESTS.format(namespace=namespace, port=port)
    compilation = compile_resources(read_documents(text, "manifests.yaml"), laptop=True)
    assert [str(each) for each in compilation.findings if each.severity.name == "ERROR"] == []
    return compilation.plans
