{{/* Whether servers of NATS show certificates: to one another, or to clients. */}}
{{- define "emailflow.natsCertificates" -}}
{{- if and .Values.nats.enabled (or .Values.nats.tls.enabled (gt (int .Values.nats.replicas) 1)) }}true{{ end -}}
{{- end -}}

{{/* For which names; the last stands for each server as the others call it. */}}
{{- define "emailflow.natsNames" -}}
{{- $name := include "emailflow.nats" . -}}
{{- $there := printf "%s.svc" .Release.Namespace -}}
{{- list (printf "%s.%s" $name $there) (printf "%s.%s.cluster.local" $name $there) (printf "*.%s-peers.%s" $name $there) | toJson -}}
{{- end -}}

{{/* nats.conf. Values in "$…" come from the pod's environment. */}}
{{- define "emailflow.natsConfig" -}}
{{- $name := include "emailflow.nats" . -}}
server_name: $POD_NAME
port: 4222
# It tells everybody who asks of accounts, streams and clients: this pod's own probes ask.
http: "127.0.0.1:8222"
max_payload: 8MB
# A user's rights are in its JWT, which is part of the CONNECT line: 2 KB, and 4 KB if names are as long as they
# may be. Who sends it is not known yet.
max_control_line: 8KB
write_deadline: "10s"
lame_duck_duration: "30s"
lame_duck_grace_period: "5s"
jetstream {
  store_dir: /data
  # Accepted means durable: what is acknowledged is on disk.
  sync_interval: always
  max_file_store: {{ include "emailflow.nineTenths" (list .Values.nats.persistence.size "nats.persistence.size") }}
  max_memory_store: 64MB
}
# Each runtime has accounts of its own: the operator hands them to the servers, which keep them.
resolver {
  type: full
  dir: /data/accounts
  allow_delete: true
  interval: "2m"
}
{{- if .Values.nats.tls.enabled }}
tls {
  cert_file: /etc/nats/tls.crt
  key_file: /etc/nats/tls.key
  timeout: 5
}
{{- end }}
{{- if gt (int .Values.nats.replicas) 1 }}
cluster {
  name: {{ $name }}
  port: 6222
  # A server in the cluster has all rights.
  tls {
    cert_file: /etc/nats/tls.crt
    key_file: /etc/nats/tls.key
    ca_file: /etc/nats/ca.crt
    verify: true
    timeout: 5
  }
  authorization {
    user: routes
    password: $ROUTES_PASSWORD
    timeout: 5
  }
  routes: [
    {{- range $i := until (int .Values.nats.replicas) }}
    $ROUTE_{{ $i }}
    {{- end }}
  ]
}
{{- end }}
# The operator's keys, and the accounts that are there from the start: the operator's.
include ./accounts.conf
{{- end -}}

{{/* A probe that asks the server in its own container: (list path). */}}
{{- define "emailflow.natsProbe" -}}
exec: {command: [wget, -q, -T, "4", -O, /dev/null, "http://127.0.0.1:8222{{ index . 0 }}"]}
{{- end -}}
