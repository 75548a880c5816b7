{{- /* router.json. */ -}}
{{- define "meridyen.router.json" -}}
{{- $name := printf "%s-router" (include "meridyen.fullname" .) -}}
{{- $inside := list $name (printf "%s.%s" $name .Release.Namespace) (include "meridyen.router.host" .) (printf "%s.cluster.local" (include "meridyen.router.host" .)) "localhost" -}}
{{- $own := dict "domain" .Values.router.domain "hosts" (concat $inside .Values.router.hosts | uniq) "listen" "0.0.0.0:8443" "database_file" "database" -}}
{{- mergeOverwrite (deepCopy .Values.router.settings) $own | toPrettyJson -}}
{{- end -}}

{{- /* Puts the Router's folder together, in memory: settings, CA, the database's address. The Router replaces files
of it, and reads none that other accounts could. Takes the names of files that have to be there: without the CA's, a
Router would make a CA of its own, which no agent knows. */ -}}
{{- define "meridyen.router.prepare" -}}
set -eu
umask 077
put() { if [ -e "$1" ]; then cat "$1" > "$DATA/$2"; fi; }
put "$GIVEN/settings/router.json" router.json
put "$GIVEN/database/address" database
for name in ca.pem ca.key ca-next.pem ca-next.key ca-old.pem ca-bundle.pem; do
  put "$GIVEN/ca/$name" "$name"
done
put "$GIVEN/tls/tls.crt" router.pem
put "$GIVEN/tls/tls.key" router.key
for name in {{ join " " . }}; do
  if [ ! -s "$DATA/$name" ]; then
    echo "router: $name is missing. Fix: put it into the Secret; the chart's README says which." >&2
    exit 78
  fi
done
{{- end -}}

{{- define "meridyen.router.environment" -}}
- {name: MERIDYEN_ROUTER_DATA, value: /var/lib/meridyen-router}
{{- end -}}

{{- define "meridyen.router.places" -}}
- {name: DATA, value: /var/lib/meridyen-router}
- {name: GIVEN, value: /etc/meridyen-router}
{{- end -}}

{{- define "meridyen.router.memory" -}}
- name: data
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
- name: database
  secret:
    secretName: {{ .Values.router.database.secret | quote }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.router.database.key | quote }}, path: address}
{{- end -}}
