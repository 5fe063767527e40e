{{/* Names and labels. */}}
{{- define "emailflow.fullname" -}}
{{- $name := include "emailflow.wantedName" . -}}
{{- if regexMatch "^(admin-)?emailruntime(-|$)" $name -}}
{{- fail (printf "fullnameOverride or the release's name: '%s' begins as the objects of an EmailRuntime do; expected another one" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "emailflow.wantedName" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "emailflow.operator" -}}{{ include "emailflow.fullname" . }}-operator{{- end -}}
{{- define "emailflow.nats" -}}{{ include "emailflow.fullname" . }}-nats{{- end -}}
{{- define "emailflow.webhook" -}}{{ include "emailflow.fullname" . }}-webhook{{- end -}}
{{- define "emailflow.serviceAccount" -}}{{ default (include "emailflow.operator" .) .Values.serviceAccount.name }}{{- end -}}

{{/* Labels of an object: (list . "component"). */}}
{{- define "emailflow.labels" -}}
{{- $top := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
app.kubernetes.io/part-of: emailflow
{{ include "emailflow.selector" . }}
{{- end -}}

{{/* The part of them that never changes: (list . "component"). */}}
{{- define "emailflow.selector" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: {{ default $top.Chart.Name $top.Values.nameOverride }}
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* repository@digest or repository:tag: (list image defaultTag). */}}
{{- define "emailflow.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "emailflow.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "emailflow.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Where runtimes without a NATS of their own find one; empty: nowhere. */}}
{{- define "emailflow.natsUrl" -}}
{{- if .Values.nats.enabled -}}
nats://{{ include "emailflow.nats" . }}.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{- .Values.nats.url -}}
{{- end -}}
{{- end -}}
