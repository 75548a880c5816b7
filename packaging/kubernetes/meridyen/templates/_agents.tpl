{{- /* A pool with what all pools have in common below it. Takes {root, key}. Gives JSON. */ -}}
{{- define "meridyen.pool" -}}
{{- $pool := mergeOverwrite (deepCopy .root.Values.agents) (deepCopy (get .root.Values.pools .key)) -}}
{{- if not $pool.pool -}}{{- $_ := set $pool "pool" .key -}}{{- end -}}
{{- toJson $pool -}}
{{- end -}}

{{- /* sandbox.yaml. What the chart decides comes last: it wins over `config`. Takes {root, pool}. */ -}}
{{- define "meridyen.sandbox" -}}
{{- $agent := dict "pool" .pool.pool "result_key" "file:result.jwk" -}}
{{- $https := dict "urls" (include "meridyen.router.urls" .root | fromJsonArray) "ca_file" "router-ca.pem" -}}
{{- $own := dict "version" 1 "mode" "cloud" "tenant" .pool.tenant "agent" $agent "transport" (dict "https" $https) -}}
{{- $_ := set $own "state_dir" "/var/lib/meridyen/state" -}}
{{- $_ := set $own "policy" "policy.yaml" -}}
{{- $_ := set $own "trust" "trust.json" -}}
{{- mergeOverwrite (deepCopy .pool.config) $own | toYaml -}}
{{- end -}}

{{- /* MiB for all slots at their limits, the folders in memory, and 1 GiB for the agent itself. Takes a pool. */ -}}
{{- define "meridyen.memory" -}}
{{- $limits := default dict .config.limits -}}
{{- $python := default dict .config.python -}}
{{- $slots := default dict (default dict .config.agent).slots -}}
{{- $job := int64 (default 1024 $limits.memory_mb) -}}
{{- $each := add $job (int64 (default 64 $python.scratch_mb)) -}}
{{- $sum := add 1024 (mul (int64 (default 4 $slots.sql)) $job) -}}
{{- if ne (toString $python.enabled) "false" -}}
{{- $sum = add $sum (int64 (default (mul (int64 (default 2 $slots.python)) $each) $python.memory_mb)) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{- define "meridyen.resources" -}}
{{- $limits := mergeOverwrite (dict "memory" (printf "%sMi" (include "meridyen.memory" .))) (default dict .resources.limits) -}}
{{- dict "requests" (default dict .resources.requests) "limits" $limits | toYaml -}}
{{- end -}}

{{- /* Seconds from SIGTERM to SIGKILL: the drain, then killing, delivering and closing, which have 25 s. */ -}}
{{- define "meridyen.grace" -}}
{{- $limits := default dict .config.limits -}}
{{- $drain := 60 -}}
{{- if hasKey $limits "drain_seconds" -}}{{- $drain = $limits.drain_seconds -}}{{- end -}}
{{- add 30 (ceil $drain | int64) -}}
{{- end -}}

{{- /* Fails with a sentence for what a schema cannot see. Takes {root, key, pool}. */ -}}
{{- define "meridyen.checked" -}}
{{- $where := printf "pools.%s" .key -}}
{{- range $name, $source := default dict .pool.config.sources -}}
{{- if has $source.type (list "postgres" "mysql") -}}
{{- include "meridyen.checked.server" (dict "where" $where "name" $name "source" $source "pool" $.pool) -}}
{{- else if not (include "meridyen.mounted" (dict "path" $source.path "data" $.pool.data)) -}}
{{- fail (printf "%s: the source %s lies below none of the folders in `data`. Fix: add {claim, path} there." $where $name) -}}
{{- end -}}
{{- end -}}
{{- if contains "@" (toString (default dict (default dict .pool.config.transport).https).proxy) -}}
{{- fail (printf "%s: config.transport.https.proxy holds a login. Fix: write file:NAME, and add NAME to files.keys." $where) -}}
{{- end -}}
{{- range $name, $_ := .pool.egress -}}
{{- if not (hasKey (default dict $.pool.config.sources) $name) -}}
{{- fail (printf "%s: egress.%s opens a way that no source uses. Fix: name it like the source, or remove it." $where $name) -}}
{{- end -}}
{{- end -}}
{{- include "meridyen.checked.secrets" (dict "root" .root "where" $where "pool" .pool) -}}
{{- if not (has "result.jwk" .pool.files.keys) -}}
{{- fail (printf "%s: files.keys lacks result.jwk, the key that the pool's agents share. Fix: add it." $where) -}}
{{- end -}}
{{- $outer := default "none" (default dict .pool.config.python).outer -}}
{{- if and (ne $outer "none") (not .pool.runtimeClassName) -}}
{{- fail (printf "%s: config.python.outer says %s, but no runtimeClassName puts the agents into it. Fix: set it." $where $outer) -}}
{{- end -}}
{{- if and .pool.ca.configMap .pool.ca.secret -}}
{{- fail (printf "%s: ca has both a configMap and a secret. Fix: keep one." $where) -}}
{{- end -}}
{{- if and (not .root.Values.router.enabled) (not .pool.ca.configMap) (not .pool.ca.secret) -}}
{{- fail (printf "%s: the Router is elsewhere, and its CA is not named. Fix: set agents.ca.configMap." $where) -}}
{{- end -}}
{{- if and .pool.keda.enabled (not .pool.keda.secret) -}}
{{- fail (printf "%s: KEDA needs a submitter's certificate to ask for the queue. Fix: set keda.secret; README.md says how." $where) -}}
{{- end -}}
{{- if and .pool.keda.enabled (gt (int64 .pool.keda.minReplicas) (int64 .pool.keda.maxReplicas)) -}}
{{- fail (printf "%s: keda.minReplicas is above keda.maxReplicas. Fix: correct one of them." $where) -}}
{{- end -}}
{{- end -}}

{{- /* A database server: reachable, and its secrets are files. What is refused is never shown. */ -}}
{{- define "meridyen.checked.server" -}}
{{- if and (not (hasPrefix "/" .source.host)) (not (hasKey .pool.egress .name)) -}}
{{- fail (printf "%s: the source %s is a server that no rule lets the agents reach. Fix: add egress.%s with `to` and `port`." .where .name .name) -}}
{{- end -}}
{{- with .source.password -}}
{{- if not (and (hasPrefix "file:" .) (has (trimPrefix "file:" .) $.pool.files.keys)) -}}
{{- fail (printf "%s: the password of the source %s is not `file:NAME` with a NAME of files.keys. Fix: put it into files.secret." $.where $.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* No key of one tenant is in a pod of another, no key of the Router in a pod of an agent, and what the tokens' CronJob
may change holds tokens alone. */ -}}
{{- define "meridyen.checked.secrets" -}}
{{- $router := .root.Values.router -}}
{{- $kept := list $router.ca.secret $router.database.secret $router.tls.secret -}}
{{- $mine := dict "files.secret" .pool.files.secret "enrolment.secret" .pool.enrolment.secret "keda.secret" .pool.keda.secret -}}
{{- range $key, $name := $mine -}}
{{- if and $name (has $name $kept) -}}
{{- fail (printf "%s: %s names a Secret of the Router, %s. Fix: use one of the pool's own." $.where $key $name) -}}
{{- end -}}
{{- range $other, $one := $.root.Values.pools -}}
{{- $theirs := list $one.files.secret $one.enrolment.secret (default dict $one.keda).secret -}}
{{- if and $name (ne $one.tenant $.pool.tenant) (has $name $theirs) -}}
{{- fail (printf "%s: %s names %s, which pools.%s of another tenant uses too. Fix: give each tenant its own." $.where $key $name $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if has .pool.enrolment.secret (list .pool.files.secret .pool.keda.secret) -}}
{{- fail (printf "%s: enrolment.secret holds other keys too. Fix: use a Secret of its own for the token." .where) -}}
{{- end -}}
{{- $states := printf "state-%s-" (include "meridyen.fullname" .root) -}}
{{- range .pool.data -}}
{{- if hasPrefix $states .claim -}}
{{- fail (printf "%s: data names the claim %s, which holds an agent's keys. Fix: keep data in a volume of its own." $.where .claim) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Whether a path lies in one of the mounted folders: a word or nothing. */ -}}
{{- define "meridyen.mounted" -}}
{{- range .data -}}
{{- if or (eq $.path .path) (hasPrefix (printf "%s/" .path) $.path) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The folder /etc/meridyen: generated configuration, the officer's files, keys, the Router's CA. Takes {root, pool, name}. */ -}}
{{- define "meridyen.folder" -}}
projected:
  defaultMode: 0440
  sources:
    - configMap:
        name: {{ .name }}
        items: [{key: sandbox.yaml, path: sandbox.yaml}]
    - configMap:
        name: {{ .pool.files.configMap | quote }}
        items: [{key: policy.yaml, path: policy.yaml}, {key: trust.json, path: trust.json}]
    - secret:
        name: {{ .pool.files.secret | quote }}
        items:
{{- range .pool.files.keys }}
          - {key: {{ . | quote }}, path: {{ . | quote }}}
{{- end }}
{{- if .pool.ca.configMap }}
    - configMap:
        name: {{ .pool.ca.configMap | quote }}
{{- else }}
    - secret:
        name: {{ default .root.Values.router.ca.secret .pool.ca.secret | quote }}
{{- end }}
        items: [{key: {{ .pool.ca.key | quote }}, path: router-ca.pem}]
{{- end -}}

{{- define "meridyen.agent.environment" -}}
- {name: MERIDYEN_MODE, value: cloud} {{- /* the image says hybrid */}}
- {name: MERIDYEN_STATE_DIR, value: /var/lib/meridyen/state} {{- /* one volume for one agent: no replica to pick */}}
{{- end -}}

{{- define "meridyen.agent.security" -}}
{{ include "meridyen.container" . }}
{{- if .pool.fullTier.enabled }}
procMount: Unmasked {{- /* a program's own /proc; only with user namespaces of the pod's own */}}
{{- with .pool.fullTier.appArmorProfile }}
appArmorProfile:
  type: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Exit 0 while the agent itself answers, however it is. */ -}}
{{- define "meridyen.alive" -}}
agent status --json | grep -q '"live": true'
{{- end -}}
