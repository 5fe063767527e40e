{{/* A policy about what the operator writes, up to its `matchConstraints`, with its binding: (list . "name"). A policy that
can't be evaluated refuses the operator, and nobody else. */}}
{{- define "emailflow.policy" -}}
{{- $top := index . 0 -}}
{{- $name := printf "%s-%s" (include "emailflow.operator" $top) (index . 1) -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels: {{- include "emailflow.labels" (list $top "operator") | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels: {{- include "emailflow.labels" (list $top "operator") | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConditions:
    - name: the-operator
      expression: {{ include "emailflow.isOperator" $top }}
{{- end -}}

{{- define "emailflow.isOperator" -}}
request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "emailflow.serviceAccount" . }}'
{{- end -}}

{{/* Namespaces of the cluster itself, as a CEL list. */}}
{{- define "emailflow.clusterNamespaces" -}}['kube-system', 'kube-public', 'kube-node-lease']{{- end -}}

{{/* Whether an object is a child of an EmailRuntime that the operator has made: the name of a CEL variable. */}}
{{- define "emailflow.isOwn" -}}
has({{ . }}.metadata.labels) && has({{ . }}.metadata.ownerReferences)
&& 'app.kubernetes.io/managed-by' in {{ . }}.metadata.labels
&& {{ . }}.metadata.labels['app.kubernetes.io/managed-by'] == 'emailflow-operator'
&& {{ . }}.metadata.ownerReferences.exists(r, r.kind == 'EmailRuntime' && r.apiVersion.startsWith('emailflow.dev/'))
{{- end -}}

{{/* Whether labels, a CEL expression, select pods of runtimes. */}}
{{- define "emailflow.selectsRuntimes" -}}
has({{ . }}) && 'app.kubernetes.io/name' in {{ . }} && {{ . }}['app.kubernetes.io/name'] == 'emailflow-runtime'
{{- end -}}
