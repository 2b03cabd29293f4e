{{/* Names, labels and addresses. A room is one of the services in `switchboard.rooms`. */}}

{{- define "switchboard.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* What each room is: its image and package, its port, whether Restate calls it (then it is versioned). */}}
{{- define "switchboard.rooms" -}}
users: {package: users, values: users, port: 9082, portName: restate}
tickets: {package: tickets, values: tickets, port: 9083, portName: restate}
conversations: {package: conversations, values: conversations, port: 9087, portName: restate, watchPort: 9088}
router: {package: router, values: router, port: 9081, portName: restate}
registry: {package: registry, values: registry, port: 9084, portName: http}
{{- if not .Values.model.name }}
demo-model: {package: demo_model, values: demoModel, port: 9085, portName: http}
{{- end }}
{{- end }}

{{/* (dict "root" $ "component" "router"): what selects the pods of a component. */}}
{{- define "switchboard.selector" -}}
app.kubernetes.io/name: switchboard
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* (dict "root" $ "component" "router"): the labels of an object. */}}
{{- define "switchboard.labels" -}}
{{ include "switchboard.selector" . }}
app.kubernetes.io/part-of: switchboard
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* (dict "root" $ "package" "router" "image" .Values.router.image): a digest wins over a tag. */}}
{{- define "switchboard.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := list $image.registry $image.repository .package | compact | join "/" -}}
{{- with .image.digest }}{{ $name }}@{{ . }}{{ else }}{{ $name }}:{{ .image.tag | default $image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{/* (dict "root" $ "room" "router"): the name of a room's objects; for a versioned room with its pod template's hash. */}}
{{- define "switchboard.name" -}}
{{- $name := printf "%s-%s" (include "switchboard.fullname" .root) .room -}}
{{- with include "switchboard.version" . }}{{ printf "%s-%s" $name . }}{{ else }}{{ $name }}{{ end -}}
{{- end }}

{{/*
(dict "root" $ "room" "router"): eight digits of the pod template's hash, or nothing. With g in place of e, for 12345e67 is
a number to some readers of YAML.
*/}}
{{- define "switchboard.version" -}}
{{- $room := get (include "switchboard.rooms" .root | fromYaml) .room -}}
{{- if and .root.Values.versions.enabled (eq $room.portName "restate") -}}
{{- include "switchboard.roomPod" . | sha256sum | trunc 8 | replace "e" "g" -}}
{{- end -}}
{{- end }}

{{/* Restate's URLs of the versions that this release wants, tools before the agent that offers them. */}}
{{- define "switchboard.deployments" -}}
{{- $urls := list -}}
{{- range $room := list "users" "tickets" "conversations" "router" -}}
{{- $port := (get (include "switchboard.rooms" $ | fromYaml) $room).port -}}
{{- $host := printf "%s.%s" (include "switchboard.name" (dict "root" $ "room" $room)) $.Release.Namespace -}}
{{- $urls = append $urls (printf "%s=http://%s:%v" $room $host $port) -}}
{{- end -}}
{{- join "," $urls -}}
{{- end }}

{{- define "switchboard.adminUrl" -}}
{{- if .Values.restate.enabled -}}
http://{{ include "restate.fullname" .Subcharts.restate }}:9070
{{- else -}}
{{ .Values.externalRestate.adminUrl }}
{{- end -}}
{{- end }}

{{- define "switchboard.ingressUrl" -}}
{{- if .Values.restate.enabled -}}
http://{{ include "restate.fullname" .Subcharts.restate }}:8080
{{- else -}}
{{ .Values.externalRestate.ingressUrl }}
{{- end -}}
{{- end }}

{{/* The public keys by which a service knows its Restate. */}}
{{- define "switchboard.identityKeys" -}}
{{- if .Values.restate.enabled -}}
{{ include "restate.publicKey" .Subcharts.restate }}
{{- else -}}
{{ join "," .Values.externalRestate.publicKeys }}
{{- end -}}
{{- end }}

{{- define "switchboard.demoCustomers" -}}
{{- if kindIs "bool" .Values.users.demoCustomers -}}
{{ ternary "true" "" .Values.users.demoCustomers }}
{{- else if and (not .Values.model.name) (eq .Values.postgres.mode "bundled") -}}
true
{{- end -}}
{{- end }}

{{/* Whether the chart knows a role that may make the services' roles. */}}
{{- define "switchboard.provisions" -}}
{{- if or (eq .Values.postgres.mode "bundled") .Values.postgres.external.admin.user -}}true{{- end -}}
{{- end }}

{{/* Roles of a room with a schema, besides its owner, by room. */}}
{{- define "switchboard.roles" -}}
users: [app]
tickets: [app, staff]
conversations: [app, router]
{{- end }}

{{- define "switchboard.statusUrl" -}}
{{- if .Values.statusPage.url -}}
{{ .Values.statusPage.url }}
{{- else if not .Values.model.name -}}
http://{{ include "switchboard.fullname" . }}-demo-model:9085/api/v2/summary.json
{{- end -}}
{{- end }}

{{- define "switchboard.databaseSecret" -}}
{{ .Values.postgres.existingSecret | default (printf "%s-database" (include "switchboard.fullname" .)) }}
{{- end }}

{{- define "switchboard.callersSecret" -}}
{{ .Values.callers.existingSecret | default (printf "%s-callers" (include "switchboard.fullname" .)) }}
{{- end }}

{{- define "switchboard.callKeySecret" -}}
{{ .Values.callKey.existingSecret | default (printf "%s-call-key" (include "switchboard.fullname" .)) }}
{{- end }}

{{- define "switchboard.webhookSecret" -}}
{{ .Values.tickets.webhook.existingSecret | default (printf "%s-webhook" (include "switchboard.fullname" .)) }}
{{- end }}

{{/* (dict "root" $ "role" "users_app"): a URL without its password, which goes beside it. */}}
{{- define "switchboard.databaseUrl" -}}
{{- $postgres := .root.Values.postgres -}}
{{- if eq $postgres.mode "bundled" -}}
postgresql://{{ .role }}@{{ include "switchboard.fullname" .root }}-postgres:5432/{{ $postgres.database }}
{{- else -}}
postgresql://{{ .role }}@{{ $postgres.external.host }}:{{ $postgres.external.port }}/{{ $postgres.database }}?sslmode={{ $postgres.external.sslMode }}
{{- end -}}
{{- end }}

{{/* (dict "name" ENV "secret" NAME "key" KEY) */}}
{{- define "switchboard.secretEnv" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
