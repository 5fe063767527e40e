{{/* Bytes of a Kubernetes quantity such as 1Gi, 500M or 1.5Gi; fails on what isn't one: (list quantity "path"). */}}
{{- define "emailflow.bytes" -}}
{{- $quantity := index . 0 | toString -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" $quantity) -}}
{{- fail (printf "%s: expected a quantity such as 1Gi, got '%s'" (index . 1) $quantity) -}}
{{- end -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $number := regexFind "^[0-9.]+" $quantity -}}
{{- mulf (float64 $number) (float64 (index $units (trimPrefix $number $quantity))) | int64 -}}
{{- end -}}

{{/* Nine tenths of a quantity, in bytes. */}}
{{- define "emailflow.nineTenths" -}}
{{- div (mul (include "emailflow.bytes" .) 9) 10 -}}
{{- end -}}

{{/* What the log of one runtime may take of NATS' volume. With what comes in and dead letters, an eighth of it each, four
runtimes then leave a third of the volume to what is (STATE); the operator takes at least 128 MiB. */}}
{{- define "emailflow.eventsBytes" -}}
{{- max 134217728 (div (include "emailflow.nineTenths" (list .Values.nats.persistence.size "nats.persistence.size")) 8) -}}
{{- end -}}
