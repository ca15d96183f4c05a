{{/* The name of everything in a release. */}}
{{- define "deckle.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- end }}

{{/* What pods are found by: it never changes. */}}
{{- define "deckle.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "deckle.labels" -}}
{{ include "deckle.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "deckle.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end }}

{{/* The settings, with those that belong to the chart. */}}
{{- define "deckle.config" -}}
{{- $own := dict "listen" ":8080" "data" "/data" -}}
{{- if .Values.admin.expose }}{{- $_ := set $own "admin-listen" (printf ":%v" .Values.admin.port) }}
{{- else }}{{- $_ := set $own "admin-listen" (printf "127.0.0.1:%v" .Values.admin.port) }}{{- end }}
{{- if .Values.signingSecrets.existingSecret }}{{- $_ := set $own "signing-secrets-file" "/etc/deckle-signing/secrets" }}{{- end }}
{{- merge $own .Values.config | toYaml -}}
{{- end }}

{{/* Values that cannot work together are refused with what to do instead. */}}
{{- define "deckle.check" -}}
{{- $many := or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled -}}
{{- $origin := .Values.config.origin | default "" | toString -}}
{{- $store := .Values.config.store | default "" | toString -}}
{{- if and $many (or (not (or (contains "s3://" $origin) (contains "http" $origin))) (contains "file:" $origin)) }}
{{- fail "more than one node needs originals that all of them reach: set config.origin, as in s3://bucket/originals?region=R" }}
{{- end }}
{{- if and $many (not (hasPrefix "s3://" $store)) }}
{{- fail "more than one node needs a common store of pictures: set config.store, as in s3://bucket/variants?region=R" }}
{{- end }}
{{- if and $many (not .Values.existingSecret) }}
{{- fail "more than one node needs DECKLE_DATABASE and DECKLE_REDIS: set existingSecret to a Secret that holds them" }}
{{- end }}
{{- if and $many .Values.persistence.enabled }}
{{- fail "a volume belongs to one node: switch persistence off, or set replicas to 1 and autoscaling off" }}
{{- end }}
{{- if and .Values.admin.expose (not .Values.existingSecret) }}
{{- fail "admin.expose needs keys: set existingSecret to a Secret that holds DECKLE_API_KEYS" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not (and .Values.admin.expose .Values.serviceMonitor.apiKeySecret.name .Values.serviceMonitor.apiKeySecret.key)) }}
{{- fail "serviceMonitor needs admin.expose, and apiKeySecret.name and .key of a Secret with one API key" }}
{{- end }}
{{- if gt (int .Values.autoscaling.min) (int .Values.autoscaling.max) }}
{{- fail "autoscaling.min is above autoscaling.max" }}
{{- end }}
{{- end }}
