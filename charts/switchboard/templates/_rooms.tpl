{{/* What each room's pod is told: settings, init containers, volumes. */}}

{{/* (dict "root" $ "room" "router"): the pod template of a room. Its hash is the version. */}}
{{- define "switchboard.roomPod" -}}
{{- $room := get (include "switchboard.rooms" .root | fromYaml) .room -}}
{{- $values := get .root.Values $room.values -}}
{{- $own := list (include "switchboard.env.listen" .) (include (printf "switchboard.env.%s" .room) .root) -}}
{{- $pod := dict "serves" true "env" (include "switchboard.envOf" (merge (dict "own" (join "\n" $own)) .)) -}}
{{- if hasKey (include "switchboard.roles" .root | fromYaml) .room }}{{ $_ := set $pod "init" (include "switchboard.init" .) }}{{ end -}}
{{- if has .room (list "gateway" "console") }}{{ $_ := set $pod "container" (include "switchboard.leaveLater" .root) }}{{ end -}}
{{- if eq .room "registry" -}}
{{- $_ := set $pod "volumes" (include "switchboard.registryVolumes" .root) -}}
{{- $_ := set $pod "mounts" (include "switchboard.registryMounts" .root) -}}
{{- if include "switchboard.kept" .root | trim -}}
{{- $_ := set $pod "token" true -}}
{{- $_ := set $pod "labels" (merge (dict "switchboard/keeps-accepted" "true") (.labels | default dict)) -}}
{{- $_ := set $pod "pod" (printf "serviceAccountName: %s-registry" (include "switchboard.fullname" .root)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .room "router") (include "switchboard.prompt" .root) -}}
{{- $_ := set $pod "annotations" (dict "switchboard/prompt" (include "switchboard.prompt" .root)) -}}
{{- $_ := set $pod "volumes" (include "switchboard.promptVolume" .root) -}}
{{- $_ := set $pod "mounts" (include "switchboard.promptMount" .root) -}}
{{- end -}}
{{- if and (eq .room "console") (trim .root.Values.console.macros) -}}
{{- $_ := set $pod "annotations" (dict "switchboard/macros" (trim .root.Values.console.macros)) -}}
{{- $_ := set $pod "volumes" (include "switchboard.macrosVolume" .root) -}}
{{- $_ := set $pod "mounts" (include "switchboard.macrosMount" .root) -}}
{{- end -}}
{{- include "switchboard.pod" (merge $pod .) -}}
{{- end }}

{{/* Whoever stands in front learns within these seconds that the pod leaves, and sends nothing new to it. */}}
{{- define "switchboard.leaveLater" -}}
lifecycle:
  preStop: {sleep: {seconds: 5}}
{{- end }}

{{/*
(dict "root" $ "room" "users" "own" YAML): an environment with the room's extraEnv, which wins: the API server refuses a
name that stands there twice.
*/}}
{{- define "switchboard.envOf" -}}
{{- $extra := (get .root.Values (get (include "switchboard.rooms" .root | fromYaml) .room).values).extraEnv -}}
{{- $names := dict -}}
{{- range $extra }}{{ $_ := set $names .name . }}{{ end -}}
{{- $env := list -}}
{{- range fromYamlArray .own }}{{ if not (hasKey $names .name) }}{{ $env = append $env . }}{{ end }}{{ end -}}
{{- concat $env $extra | toYaml -}}
{{- end }}

{{- define "switchboard.env.listen" -}}
- {name: HOST, value: {{ .root.Values.listen | quote }}}
{{- if has .room (list "router" "tickets" "gateway" "console") }}
{{- include "switchboard.env.proxy" .root }}
{{- end }}
- {name: METRICS_PORT, value: "9100"}
{{- if eq (get (include "switchboard.rooms" .root | fromYaml) .room).portName "restate" }}
- {name: DRAIN_SECONDS, value: {{ .root.Values.drainSeconds | quote }}}
{{- with include "switchboard.identityKeys" .root }}
- {name: IDENTITY_KEYS, value: {{ . | quote }}}
{{- end }}
{{- with .root.Values.global.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- with $.root.Values.telemetry.headers }}
{{- if .existingSecret }}
{{ include "switchboard.secretEnv" (dict "name" "OTEL_EXPORTER_OTLP_HEADERS" "secret" .existingSecret "key" .secretKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* How a room reaches the outside world; the release itself, and the cluster by its full names, without a proxy. */}}
{{- define "switchboard.env.proxy" -}}
{{- with .Values.proxy.url }}
{{- $direct := list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" }}
{{- range list "registry" "watch" "demo-model" "restate" }}
{{- $direct = append $direct (printf "%s-%s" (include "switchboard.fullname" $) .) }}
{{- end }}
{{- with $.Values.global.otlpEndpoint }}{{ $direct = append $direct (regexReplaceAll ":[0-9]+$" (urlParse .).host "") }}{{ end }}
- {name: HTTP_PROXY, value: {{ . | quote }}}
- {name: HTTPS_PROXY, value: {{ . | quote }}}
- {name: NO_PROXY, value: {{ concat $direct $.Values.proxy.except | uniq | join "," | quote }}}
{{- end }}
{{- end }}

{{- define "switchboard.env.router" -}}
- {name: CATALOGUE_URL, value: "http://{{ include "switchboard.fullname" . }}-registry:9084/tools"}
{{- with include "switchboard.statusUrl" . }}
- {name: STATUS_URL, value: {{ . | quote }}}
{{- end }}
{{- if .Values.model.name }}
- {name: OPENAI_MODEL, value: {{ .Values.model.name | quote }}}
{{- with .Values.model.baseUrl }}
- {name: OPENAI_BASE_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.model.existingSecret }}
{{ include "switchboard.secretEnv" (dict "name" "OPENAI_API_KEY" "secret" . "key" $.Values.model.secretKey) }}
{{- with $.Values.model.fallbacksKey }}
{{ include "switchboard.secretEnv" (dict "name" "OPENAI_FALLBACKS" "secret" $.Values.model.existingSecret "key" .) }}
{{- end }}
{{- end }}
{{- with .Values.model.preset }}
- {name: OPENAI_PRESET, value: {{ . | quote }}}
{{- end }}
{{- if not (kindIs "invalid" .Values.model.maxOutputTokens) }}
- {name: OPENAI_MAX_OUTPUT_TOKENS, value: {{ .Values.model.maxOutputTokens | quote }}}
{{- end }}
{{- with .Values.model.timeoutSeconds }}
- {name: OPENAI_TIMEOUT, value: {{ . | quote }}}
{{- end }}
{{- with .Values.model.firstByteSeconds }}
- {name: OPENAI_FIRST_BYTE_TIMEOUT, value: {{ . | quote }}}
{{- end }}
{{- if .Values.model.stream }}
- {name: OPENAI_STREAM, value: "true"}
{{- end }}
{{- if not (kindIs "invalid" .Values.model.checkAtStart) }}
- {name: OPENAI_CHECK_AT_START, value: {{ .Values.model.checkAtStart | quote }}}
{{- end }}
{{- else }}
- {name: OPENAI_CHECK_AT_START, value: "false"}
- {name: OPENAI_MODEL, value: demo}
- {name: OPENAI_BASE_URL, value: "http://{{ include "switchboard.fullname" . }}-demo-model:9085/v1"}
{{- end }}
{{- if include "switchboard.prompt" . }}
- {name: PROMPT_FILE, value: /etc/switchboard/prompt.md}
{{- end }}
- {name: QUESTION_EFFECTS, value: {{ .Values.router.approvals.questionEffects | quote }}}
- {name: APPROVAL_SHADOW, value: {{ .Values.router.approvals.shadow | quote }}}
- {name: APPROVAL_WAIT, value: {{ .Values.router.approvals.waitSeconds | quote }}}
- {name: APPROVAL_HOURS, value: {{ .Values.router.approvals.expireHours | quote }}}
{{- if .Values.router.captureMessageContent }}
- {name: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, value: "true"}
{{- end }}
{{- if .Values.trustUserId }}
- {name: CUSTOMER_CHECK, value: UserDatabase/is_customer}
{{- end }}
{{ include "switchboard.env.proof" . }}
{{ include "switchboard.secretEnv" (dict "name" "CALL_KEY" "secret" (include "switchboard.callKeySecret" .) "key" "private.pem") }}
{{ include "switchboard.databaseEnv" (dict "root" . "prefix" "CONVERSATIONS_" "role" "conversations-router") }}
{{- end }}

{{/* By what a customer is believed. */}}
{{- define "switchboard.env.proof" -}}
{{- if .Values.trustUserId }}
- {name: TRUST_USER_ID, value: "true"}
{{- end }}
{{ include "switchboard.env.customers" . }}
{{- end }}

{{- define "switchboard.env.customers" -}}
{{ include "switchboard.secretEnv" (dict "name" "CALLER_KEYS" "secret" (include "switchboard.callersSecret" .) "key" .Values.callers.secretKey) }}
- {name: CALLER_ALGORITHM, value: {{ .Values.callers.algorithm }}}
- {name: CALLER_AUDIENCE, value: {{ .Values.callers.audience | quote }}}
{{- with .Values.callers.issuer }}
- {name: CALLER_ISSUER, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* By what a tool knows its caller: the public key alone. */}}
{{- define "switchboard.env.callers" -}}
{{ include "switchboard.secretEnv" (dict "name" "CALL_KEYS" "secret" (include "switchboard.callKeySecret" .) "key" "public.pem") }}
{{ include "switchboard.env.accepted" . }}
{{- end }}

{{- define "switchboard.env.accepted" -}}
- {name: ACCEPTED_URL, value: "http://{{ include "switchboard.fullname" . }}-registry:9084/accepted"}
{{- end }}

{{- define "switchboard.env.users" -}}
{{ include "switchboard.env.callers" . }}
{{ include "switchboard.databaseEnv" (dict "root" . "prefix" "" "role" "users-app") }}
{{ include "switchboard.env.staff" . }}
{{- end }}

{{- define "switchboard.env.tickets" -}}
{{ include "switchboard.env.callers" . }}
{{ include "switchboard.env.customers" . }}
{{ include "switchboard.databaseEnv" (dict "root" . "prefix" "" "role" "tickets-app") }}
{{ include "switchboard.env.staff" . }}
{{- with .Values.tickets.webhook }}
{{- if .url }}
- {name: WEBHOOK_URL, value: {{ .url | quote }}}
{{ include "switchboard.secretEnv" (dict "name" "WEBHOOK_SECRET" "secret" (include "switchboard.webhookSecret" $) "key" .secretKey) }}
{{- end }}
{{- end }}
{{- with .Values.tickets.life }}
- {name: BUSINESS_HOURS, value: {{ .businessHours | quote }}}
- {name: BUSINESS_ZONE, value: {{ .businessZone | quote }}}
- {name: HOLIDAYS, value: {{ join ", " .holidays | quote }}}
- {name: FIRST_REPLY_HOURS, value: {{ include "switchboard.hours" .firstReplyHours | quote }}}
- {name: SOLUTION_HOURS, value: {{ include "switchboard.hours" .solutionHours | quote }}}
- {name: REMIND_PERCENT, value: {{ .remindPercent | quote }}}
- {name: REOPEN_DAYS, value: {{ .reopenDays | quote }}}
- {name: CLOSE_DAYS, value: {{ .closeDays | quote }}}
{{- end }}
{{- end }}

{{- /* Hours by priority, as the tickets' settings write them. */ -}}
{{- define "switchboard.hours" -}}
urgent={{ round .urgent 4 }} high={{ round .high 4 }} normal={{ round .normal 4 }} low={{ round .low 4 }}
{{- end }}

{{- define "switchboard.env.conversations" -}}
{{ include "switchboard.env.proof" . }}
{{ include "switchboard.env.accepted" . }}
- {name: JOURNALS_URL, value: "http://{{ include "switchboard.fullname" . }}-registry:9084/journals"}
{{ include "switchboard.databaseEnv" (dict "root" . "prefix" "" "role" "conversations-app") }}
- {name: RETENTION_DAYS, value: {{ .Values.conversations.retentionDays | quote }}}
{{ include "switchboard.env.staff" . }}
{{- end }}

{{- /* By what a room knows members of staff. */}}
{{- define "switchboard.env.staff" -}}
{{- with include "switchboard.staffSecret" . }}
{{ include "switchboard.secretEnv" (dict "name" "STAFF_KEYS" "secret" . "key" $.Values.staff.secretKey) }}
{{ include "switchboard.env.staffTokens" $ }}
{{- end }}
{{- end }}

{{- define "switchboard.env.staffTokens" -}}
- {name: STAFF_ALGORITHM, value: {{ include "switchboard.staffAlgorithm" . }}}
- {name: STAFF_AUDIENCE, value: {{ .Values.staff.audience | quote }}}
{{- with .Values.staff.issuer }}
- {name: STAFF_ISSUER, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{- /* Where Restate takes what comes from outside. */}}
{{- define "switchboard.env.ingress" -}}
- {name: RESTATE_INGRESS_URL, value: {{ include "switchboard.ingressUrl" . | quote }}}
{{- include "switchboard.restateToken" (dict "root" . "name" "RESTATE_INGRESS_TOKEN" "key" .Values.externalRestate.ingressTokenKey) }}
{{- end }}

{{- define "switchboard.env.console" -}}
- {name: DRAIN_SECONDS, value: {{ .Values.drainSeconds | quote }}}
{{ include "switchboard.env.ingress" . }}
- {name: CONVERSATIONS_URL, value: "http://{{ include "switchboard.fullname" . }}-watch:9088"}
- {name: REGISTRY_URL, value: "http://{{ include "switchboard.fullname" . }}-registry:9092"}
{{ include "switchboard.secretEnv" (dict "name" "STAFF_KEY" "secret" (include "switchboard.staffSecret" .) "key" (ternary .Values.staff.signingKey "private.pem" (ne .Values.staff.existingSecret ""))) }}
{{ include "switchboard.env.staffTokens" . }}
{{- with .Values.console }}
{{ include "switchboard.secretEnv" (dict "name" "SESSION_SECRET" "secret" (include "switchboard.sessionsSecret" $) "key" .sessions.secretKey) }}
- {name: SESSION_MINUTES, value: {{ .sessions.minutes | quote }}}
- {name: SESSION_HOURS, value: {{ .sessions.hours | quote }}}
- {name: BASE_URL, value: {{ .baseUrl | quote }}}
{{- if trim .macros }}
- {name: MACROS_FILE, value: /etc/switchboard/macros.toml}
{{- end }}
- {name: API_KEYS, value: {{ .apiKeys | quote }}}
{{- with .restateUiUrl }}
- {name: RESTATE_UI_URL, value: {{ . | quote }}}
{{- end }}
{{- with .traceUrl }}
- {name: TRACE_URL, value: {{ . | quote }}}
{{- end }}
{{- with .oidc }}
- {name: OIDC_ISSUER, value: {{ .issuer | quote }}}
- {name: OIDC_CLIENT_ID, value: {{ .clientId | quote }}}
{{- if .existingSecret }}
{{ include "switchboard.secretEnv" (dict "name" "OIDC_CLIENT_SECRET" "secret" .existingSecret "key" .secretKey) }}
{{- end }}
- {name: OIDC_SCOPES, value: {{ .scopes | quote }}}
- {name: OIDC_NAME_CLAIM, value: {{ .nameClaim | quote }}}
- {name: OIDC_SHOWN_CLAIM, value: {{ .shownClaim | quote }}}
- {name: OIDC_ROLES_CLAIM, value: {{ .rolesClaim | quote }}}
{{- with .roles }}
- {name: OIDC_ROLES, value: {{ toJson . | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "switchboard.env.gateway" -}}
- {name: DRAIN_SECONDS, value: {{ .Values.drainSeconds | quote }}}
{{ include "switchboard.env.ingress" . }}
- {name: CONVERSATIONS_URL, value: "http://{{ include "switchboard.fullname" . }}-watch:9088"}
{{ include "switchboard.secretEnv" (dict "name" "SIGNING_KEY" "secret" (include "switchboard.callersSecret" .) "key" "private.pem") }}
- {name: CALLER_AUDIENCE, value: {{ .Values.callers.audience | quote }}}
{{- with .Values.callers.issuer }}
- {name: CALLER_ISSUER, value: {{ . | quote }}}
{{- end }}
{{ include "switchboard.secretEnv" (dict "name" "NAMES_SECRET" "secret" (include "switchboard.namesSecret" .) "key" .Values.gateway.names.secretKey) }}
{{- with .Values.gateway.issuers }}
- {name: ISSUERS, value: {{ toJson . | quote }}}
{{- end }}
{{- if include "switchboard.isDemo" . }}
- {name: DEMO_CUSTOMERS, value: {{ .Files.Get "files/demo_customers.json" | fromJsonArray | toJson | quote }}}
{{- end }}
- {name: API_KEYS, value: {{ .Values.gateway.apiKeys | quote }}}
{{- with .Values.gateway.allowedOrigins }}
- {name: ALLOWED_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
{{- with .Values.gateway.frameAncestors }}
- {name: FRAME_ANCESTORS, value: {{ join "," . | quote }}}
{{- end }}
{{- with .Values.gateway.limits }}
- {name: REQUESTS_PER_MINUTE, value: {{ .requestsPerMinute | quote }}}
- {name: BURST, value: {{ .burst | quote }}}
- {name: WAITING_PER_CALLER, value: {{ .waitingPerCaller | quote }}}
- {name: STREAMS_PER_CALLER, value: {{ .streamsPerCaller | quote }}}
- {name: MAX_IN_FLIGHT, value: {{ .maxInFlight | quote }}}
- {name: MAX_WAIT_SECONDS, value: {{ .maxWaitSeconds | quote }}}
{{- with .valkey }}
{{- if .host }}
- {name: LIMITS_URL, value: "{{ ternary "valkeys" "valkey" .tls }}://{{ with .user }}{{ . }}@{{ end }}{{ .host }}:{{ .port }}"}
{{- if .existingSecret }}
{{ include "switchboard.secretEnv" (dict "name" "LIMITS_PASSWORD" "secret" .existingSecret "key" .secretKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "switchboard.env.registry" -}}
- {name: RESTATE_ADMIN_URL, value: {{ include "switchboard.adminUrl" . | quote }}}
{{- include "switchboard.adminToken" . }}
- {name: AWAIT_SERVICES, value: "UserDatabase,SupportTicketWorkflow"}
{{- if .Values.tools }}
{{- $tools := list }}
{{- range .Values.tools }}{{ $tools = append $tools (printf "%s=%s" .name .url) }}{{ end }}
- {name: DEPLOYMENTS, value: {{ join "," $tools | quote }}}
{{- end }}
# The first catalogue waits so long for tools of others, too: they must not keep it from those of the release.
- {name: HEALTH_SECONDS, value: {{ ternary 30 .Values.versions.registerSeconds (gt (len .Values.tools) 0) | quote }}}
- {name: POLICY_FILE, value: /etc/switchboard/policy.toml}
- {name: ACCEPT_TOOLS, value: {{ .Values.registry.acceptTools }}}
{{- if ne .Values.registry.acceptTools "any" }}
- {name: ACCEPTED_CONFIGMAP, value: {{ include "switchboard.fullname" . }}-accepted}
{{- end }}
{{- if include "switchboard.staffSecret" . }}
- {name: RECORD_CONFIGMAP, value: {{ include "switchboard.fullname" . }}-record}
- {name: DESK_PORT, value: "9092"}
{{ include "switchboard.env.staff" . }}
{{- end }}
{{- if include "switchboard.kept" . | trim }}
- {name: NAMESPACE, value: {{ .Release.Namespace | quote }}}
{{- end }}
{{- if not (include "switchboard.statusUrl" .) }}
- {name: SWITCHED_OFF, value: check_service_status}
{{- end }}
- {name: WANTED_DEPLOYMENTS_FILE, value: /etc/switchboard-versions/deployments}
{{- end }}

{{- define "switchboard.env.demo-model" -}}
- {name: ADMIN_ENDPOINTS, value: "false"}
{{- end }}

{{- define "switchboard.prompt" -}}
{{ trim .Values.router.prompt }}
{{- end }}

{{/*
The prompt stands in an annotation of the pod template, and the pod reads it as a file: so each version has its own for
as long as there is a pod of it, and no object is left over when it goes.
*/}}
{{- define "switchboard.promptVolume" -}}
- name: prompt
  downwardAPI:
    items:
      - {path: prompt.md, fieldRef: {fieldPath: "metadata.annotations['switchboard/prompt']"}}
{{- end }}

{{- define "switchboard.promptMount" -}}
- {name: prompt, mountPath: /etc/switchboard, readOnly: true}
{{- end }}

{{/* As the prompt: a change of them brings new pods, which read them at their start. */}}
{{- define "switchboard.macrosVolume" -}}
- name: macros
  downwardAPI:
    items:
      - {path: macros.toml, fieldRef: {fieldPath: "metadata.annotations['switchboard/macros']"}}
{{- end }}

{{- define "switchboard.macrosMount" -}}
- {name: macros, mountPath: /etc/switchboard, readOnly: true}
{{- end }}

{{/* Whole directories: what is mounted by subPath would never change while a pod runs. */}}
{{- define "switchboard.registryVolumes" -}}
- name: policy
  configMap: {name: {{ include "switchboard.fullname" . }}-policy}
- name: versions
  configMap: {name: {{ include "switchboard.fullname" . }}-versions}
{{- end }}

{{- define "switchboard.registryMounts" -}}
- {name: policy, mountPath: /etc/switchboard, readOnly: true}
- {name: versions, mountPath: /etc/switchboard-versions, readOnly: true}
{{- end }}

{{/* (dict "root" $ "prefix" "MIGRATION_" "role" "users-owner"): URL and password of a role. */}}
{{- define "switchboard.databaseEnv" -}}
- {name: {{ .prefix }}DATABASE_URL, value: {{ include "switchboard.databaseUrl" (dict "root" .root "role" (printf "%s%s" .root.Values.postgres.rolePrefix (replace "-" "_" .role))) | quote }}}
{{ include "switchboard.secretEnv" (dict "name" (printf "%sDATABASE_PASSWORD" .prefix) "secret" (include "switchboard.databaseSecret" .root) "key" .role) }}
{{- end }}

{{/* (dict "root" $): URL and password of the role that makes the others. */}}
{{- define "switchboard.adminEnv" -}}
{{- $postgres := .root.Values.postgres -}}
{{- if eq $postgres.mode "bundled" -}}
{{ include "switchboard.databaseEnv" (dict "root" .root "prefix" "ADMIN_" "role" "postgres") }}
{{- else -}}
- {name: ADMIN_DATABASE_URL, value: {{ include "switchboard.databaseUrl" (dict "root" .root "role" $postgres.external.admin.user) | quote }}}
{{ include "switchboard.secretEnv" (dict "name" "ADMIN_DATABASE_PASSWORD" "secret" $postgres.external.admin.existingSecret "key" $postgres.external.admin.secretKey) }}
{{- end -}}
{{- end }}

{{/* (dict "root" $ "room" "users"): roles, migrations and example customers, each repeatable. */}}
{{- define "switchboard.init" -}}
{{- $owner := include "switchboard.ownerEnv" . -}}
{{- if include "switchboard.provisions" .root }}
{{ include "switchboard.initContainer" (merge (dict "name" "provision" "own" (include "switchboard.provisionEnv" .)) .) }}
{{- end }}
{{- if eq .root.Values.migrations.mode "init" }}
{{ include "switchboard.initContainer" (merge (dict "name" "migrate" "own" $owner) .) }}
{{- end }}
{{- if and (eq .room "users") (include "switchboard.demoCustomers" .root) }}
{{ include "switchboard.initContainer" (merge (dict "name" "seed" "own" $owner) .) }}
{{- end }}
{{- end }}

{{- define "switchboard.rolePrefixEnv" -}}
{{- with .Values.postgres.rolePrefix }}
- {name: DATABASE_ROLE_PREFIX, value: {{ . | quote }}}
{{- end -}}
{{- end }}

{{- define "switchboard.provisionEnv" -}}
{{ include "switchboard.adminEnv" . }}
{{- include "switchboard.rolePrefixEnv" .root }}
{{- range $kind := prepend (get (include "switchboard.roles" .root | fromYaml) .room) "owner" }}
{{ include "switchboard.secretEnv" (dict "name" (printf "%s_%s_PASSWORD" $.room $kind | upper) "secret" (include "switchboard.databaseSecret" $.root) "key" (printf "%s-%s" $.room $kind)) }}
{{- end }}
{{- end }}

{{- define "switchboard.ownerEnv" -}}
{{ include "switchboard.databaseEnv" (dict "root" .root "prefix" "MIGRATION_" "role" (printf "%s-owner" .room)) }}
{{- include "switchboard.rolePrefixEnv" .root }}
{{- end }}

{{/* (dict "root" $ "room" "users" "name" "migrate" "own" YAML): one command of the room, with its environment. */}}
{{- define "switchboard.initContainer" -}}
- name: {{ .name }}
  {{- include "switchboard.container" (merge (dict "args" (list .name)) .) | nindent 2 }}
  resources:
    {{- toYaml .root.Values.jobs.resources | nindent 4 }}
  env:
    {{- include "switchboard.envOf" . | nindent 4 }}
{{- end }}
