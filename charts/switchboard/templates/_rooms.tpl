{{/* What each room's pod is told: settings, init containers, volumes. */}}

{{/* (dict "root" $ "room" "router"): the pod template of a room. Its hash is the version. */}}
{{- define "switchboard.roomPod" -}}
{{- $room := get (include "switchboard.rooms" .root | fromYaml) .room -}}
{{- $values := get .root.Values $room.values -}}
{{- $own := list (include "switchboard.env.listen" .) (include (printf "switchboard.env.%s" .room) .root) -}}
{{- $pod := dict "serves" true "env" (include "switchboard.envOf" (merge (dict "own" (join "\n" $own)) .)) -}}
{{- if hasKey (include "switchboard.roles" .root | fromYaml) .room }}{{ $_ := set $pod "init" (include "switchboard.init" .) }}{{ end -}}
{{- if eq .room "registry" -}}
{{- $_ := set $pod "volumes" (include "switchboard.registryVolumes" .root) -}}
{{- $_ := set $pod "mounts" (include "switchboard.registryMounts" .root) -}}
{{- if ne .root.Values.registry.acceptTools "any" -}}
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
{{- include "switchboard.pod" (merge $pod .) -}}
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
- {name: HOST, value: "0.0.0.0"}
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
{{- end }}

{{- define "switchboard.env.tickets" -}}
{{ include "switchboard.env.callers" . }}
{{ include "switchboard.databaseEnv" (dict "root" . "prefix" "" "role" "tickets-app") }}
{{- with .Values.tickets.webhook }}
{{- if .url }}
- {name: WEBHOOK_URL, value: {{ .url | quote }}}
{{ include "switchboard.secretEnv" (dict "name" "WEBHOOK_SECRET" "secret" (include "switchboard.webhookSecret" $) "key" .secretKey) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "switchboard.env.conversations" -}}
{{ include "switchboard.env.proof" . }}
{{ include "switchboard.env.accepted" . }}
- {name: JOURNALS_URL, value: "http://{{ include "switchboard.fullname" . }}-registry:9084/journals"}
{{ include "switchboard.databaseEnv" (dict "root" . "prefix" "" "role" "conversations-app") }}
- {name: RETENTION_DAYS, value: {{ .Values.conversations.retentionDays | quote }}}
{{- with .Values.staff }}
{{- if .existingSecret }}
{{ include "switchboard.secretEnv" (dict "name" "STAFF_KEYS" "secret" .existingSecret "key" .secretKey) }}
- {name: STAFF_ALGORITHM, value: {{ .algorithm }}}
- {name: STAFF_AUDIENCE, value: {{ .audience | quote }}}
{{- if .issuer }}
- {name: STAFF_ISSUER, value: {{ .issuer | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "switchboard.env.registry" -}}
- {name: RESTATE_ADMIN_URL, value: {{ include "switchboard.adminUrl" . | quote }}}
- {name: AWAIT_SERVICES, value: "UserDatabase,SupportTicketWorkflow"}
- {name: HEALTH_SECONDS, value: {{ .Values.versions.registerSeconds | quote }}}
- {name: POLICY_FILE, value: /etc/switchboard/policy.toml}
- {name: ACCEPT_TOOLS, value: {{ .Values.registry.acceptTools }}}
{{- if ne .Values.registry.acceptTools "any" }}
- {name: ACCEPTED_CONFIGMAP, value: {{ include "switchboard.fullname" . }}-accepted}
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
- {name: {{ .prefix }}DATABASE_URL, value: {{ include "switchboard.databaseUrl" (dict "root" .root "role" (replace "-" "_" .role)) | quote }}}
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

{{- define "switchboard.provisionEnv" -}}
{{ include "switchboard.adminEnv" . }}
{{- range $kind := prepend (get (include "switchboard.roles" .root | fromYaml) .room) "owner" }}
{{ include "switchboard.secretEnv" (dict "name" (printf "%s_%s_PASSWORD" $.room $kind | upper) "secret" (include "switchboard.databaseSecret" $.root) "key" (printf "%s-%s" $.room $kind)) }}
{{- end }}
{{- end }}

{{- define "switchboard.ownerEnv" -}}
{{ include "switchboard.databaseEnv" (dict "root" .root "prefix" "MIGRATION_" "role" (printf "%s-owner" .room)) }}
{{- end }}

{{/* (dict "root" $ "room" "users" "name" "migrate" "own" YAML): one command of the room, with its environment. */}}
{{- define "switchboard.initContainer" -}}
- name: {{ .name }}
  {{- include "switchboard.container" (merge (dict "args" (list .name)) .) | nindent 2 }}
  resources:
    {{- include "switchboard.resources" nil | nindent 4 }}
  env:
    {{- include "switchboard.envOf" . | nindent 4 }}
{{- end }}
