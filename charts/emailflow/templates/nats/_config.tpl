{{/* nats.conf. Values in "$…" come from the pod's environment. */}}
{{- define "emailflow.natsConfig" -}}
{{- $name := include "emailflow.nats" . -}}
server_name: $POD_NAME
port: 4222
http_port: 8222
max_payload: 8MB
# A user's rights are in its JWT, which is part of the CONNECT line: 5 KB with one shard, 128 KB with 256, and
# 450 KB if the names are as long as names may be.
max_control_line: 512KB
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
{{- if gt (int .Values.nats.replicas) 1 }}
cluster {
  name: {{ $name }}
  port: 6222
  routes: [
    {{- range $i := until (int .Values.nats.replicas) }}
    nats://{{ $name }}-{{ $i }}.{{ $name }}-peers.{{ $.Release.Namespace }}.svc:6222
    {{- end }}
  ]
}
{{- end }}
# Accounts and their keys: the operator's.
include ./auth.conf
{{- end -}}
