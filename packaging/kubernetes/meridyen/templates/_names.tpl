{{- define "meridyen.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- else if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Labels that never change: what selectors use. Takes {root, component, pool}. */ -}}
{{- define "meridyen.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
meridyen.ai/pool: {{ . }}
{{- end }}
{{- end -}}

{{- define "meridyen.labels" -}}
{{ include "meridyen.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* Takes {root, image}. */ -}}
{{- define "meridyen.image" -}}
{{- if .image.digest -}}
{{ printf "%s@%s" .image.repository .image.digest }}
{{- else -}}
{{ printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) }}
{{- end -}}
{{- end -}}

{{- define "meridyen.router.host" -}}
{{ include "meridyen.fullname" . }}-router.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "meridyen.router.urls" -}}
{{- if .Values.router.enabled -}}
{{ list (printf "https://%s:8443" (include "meridyen.router.host" .)) | toJson }}
{{- else -}}
{{ .Values.router.external.urls | toJson }}
{{- end -}}
{{- end -}}
