{{- /* What every pod of this chart has. None of it can be switched off. */ -}}

{{- /* Takes {root, seccomp}: without a profile of its own a pod has the runtime's. */ -}}
{{- define "meridyen.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false {{- /* Kubernetes would set MERIDYEN_ROUTER_PORT and more, which the agent refuses */}}
hostNetwork: false
hostPID: false
hostIPC: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch {{- /* keys keep their mode 0600 */}}
  seccompProfile:
{{- if .seccomp }}
    type: Localhost
    localhostProfile: {{ .seccomp | quote }}
{{- else }}
    type: RuntimeDefault
{{- end }}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridyen.container" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* nodeSelector, tolerations, affinity, priorityClassName of a block of the values. */ -}}
{{- define "meridyen.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "meridyen.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "meridyen.selector" . | nindent 8 }}
{{- end -}}

{{- /* A list of {cidr, except} and {namespace, podLabels} as peers of a NetworkPolicy. */ -}}
{{- define "meridyen.peers" -}}
{{- range . }}
{{- if .cidr }}
- ipBlock:
    cidr: {{ .cidr | quote }}
{{- with .except }}
    except: {{- toYaml . | nindent 6 }}
{{- end }}
{{- else }}
- podSelector:
    matchLabels: {{- toYaml (default dict .podLabels) | nindent 6 }}
{{- with .namespace }}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridyen.egress.dns" -}}
- to: {{- include "meridyen.peers" .Values.dns.to | nindent 4 }}
  ports:
    - {port: {{ .Values.dns.port }}, protocol: UDP}
    - {port: {{ .Values.dns.port }}, protocol: TCP}
{{- end -}}

{{- define "meridyen.egress.database" -}}
- ports:
    - {port: {{ .Values.router.database.port }}, protocol: TCP}
{{- with .Values.router.database.to }}
  to: {{- include "meridyen.peers" . | nindent 4 }}
{{- end }}
{{- end -}}
