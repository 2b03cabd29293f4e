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
{{- if include "switchboard.hasGateway" . }}
gateway: {package: gateway, values: gateway, port: 9089, portName: http}
{{- end }}
{{- if include "switchboard.hasConsole" . }}
console: {package: console, values: console, port: 9091, portName: http}
{{- end }}
registry: {package: registry, values: registry, port: 9084, portName: http{{ if include "switchboard.staffSecret" . }}, deskPort: 9092{{ end }}}
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
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Annotations of an object that has none of its own, as a part of its metadata. */}}
{{- define "switchboard.annotations" -}}
{{- include "switchboard.annotationsWith" (dict "root" . "own" dict) }}
{{- end }}

{{/* (dict "root" $ "own" (dict ...)): the same for an object with annotations of its own, which win. */}}
{{- define "switchboard.annotationsWith" -}}
{{- with merge dict .own .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* (dict "root" $ "events" "pre-delete"): annotations of a Job that Helm runs, and whose log it shows when it fails. */}}
{{- define "switchboard.hook" -}}
{{- $own := dict "helm.sh/hook" .events "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" "helm.sh/hook-output-log-policy" "hook-failed" -}}
{{- include "switchboard.annotationsWith" (dict "root" .root "own" $own) }}
{{- end }}

{{/* (dict "root" $ "package" "router" "image" .Values.router.image): a digest wins over a tag. */}}
{{- define "switchboard.image" -}}
{{- $image := .root.Values.image -}}
{{- $registry := .root.Values.global.imageRegistry | default $image.registry -}}
{{- $name := list $registry $image.repository .package | compact | join "/" -}}
{{- with .image.digest }}{{ $name }}@{{ . }}{{ else }}{{ $name }}:{{ .image.tag | default $image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{/* The Secrets with which images are pulled: the release's and this chart's, as names or as `{name: ...}`. */}}
{{- define "switchboard.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.image.pullSecrets -}}
{{- $names = append $names (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $names | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The addresses of a Service, as a part of its spec. */}}
{{- define "switchboard.ipFamily" -}}
{{- with .Values.service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
{{- end }}
{{- end }}

{{/* The service account of pods that have none of their own; nothing: the namespace's. */}}
{{- define "switchboard.serviceAccount" -}}
{{- with .Values.serviceAccount }}{{ .name | default (ternary (include "switchboard.fullname" $) "" .create) }}{{ end -}}
{{- end }}

{{/* Whether users and groups of pods are left to the cluster, as OpenShift wants it. */}}
{{- define "switchboard.userless" -}}
{{- $adapts := .Values.global.compatibility.openshift.adaptSecurityContext -}}
{{- if or (eq $adapts "force") (and (eq $adapts "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}true{{- end -}}
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

{{/* (dict "root" $ "name" ENV "key" KEY): a token that your Restate wants, as an environment variable; nothing without one. */}}
{{- define "switchboard.restateToken" -}}
{{- if not .root.Values.restate.enabled }}
{{- with .root.Values.externalRestate.existingSecret }}
- name: {{ $.name }}
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $.key }}, optional: true}}
{{- end }}
{{- end }}
{{- end }}

{{- define "switchboard.adminToken" -}}
{{- include "switchboard.restateToken" (dict "root" . "name" "RESTATE_ADMIN_TOKEN" "key" .Values.externalRestate.adminTokenKey) }}
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

{{/* Whether anybody may be one of the example customers at the gateway. */}}
{{- define "switchboard.isDemo" -}}
{{- if kindIs "bool" .Values.gateway.demoCustomers -}}
{{ ternary "true" "" .Values.gateway.demoCustomers }}
{{- else if not .Values.gateway.issuers -}}
{{ include "switchboard.demoCustomers" . }}
{{- end -}}
{{- end }}

{{/* Whether there is a gateway: it does not start where nobody could come in. */}}
{{- define "switchboard.hasGateway" -}}
{{- if and .Values.gateway.enabled (or .Values.gateway.issuers .Values.gateway.apiKeys (include "switchboard.isDemo" .)) -}}true{{- end -}}
{{- end }}

{{/* Whether there is a desk: made-up staff never stand where a chart does, so an identity provider has to be named. */}}
{{- define "switchboard.hasConsole" -}}
{{- if and .Values.console.enabled .Values.console.oidc.issuer -}}true{{- end -}}
{{- end }}

{{/* The host of the desk, as staff type it. */}}
{{- define "switchboard.deskHost" -}}
{{- regexReplaceAll ":[0-9]+$" (urlParse .Values.console.baseUrl).host "" -}}
{{- end }}

{{/* The Secret with which staff tokens are signed and believed; nothing where nobody is staff. */}}
{{- define "switchboard.staffSecret" -}}
{{- if .Values.staff.existingSecret -}}
{{ .Values.staff.existingSecret }}
{{- else if include "switchboard.hasConsole" . -}}
{{ include "switchboard.fullname" . }}-staff-key
{{- end -}}
{{- end }}

{{/* The ConfigMaps in which the registry keeps what was accepted of the tools of others, and what admins switched. */}}
{{- define "switchboard.kept" -}}
{{- if ne .Values.registry.acceptTools "any" }}
- {{ include "switchboard.fullname" . }}-accepted
{{- end }}
{{- if include "switchboard.staffSecret" . }}
- {{ include "switchboard.fullname" . }}-record
{{- end }}
{{- end }}

{{/* How they are signed: the pair that the chart makes is one for EdDSA. */}}
{{- define "switchboard.staffAlgorithm" -}}
{{ ternary .Values.staff.algorithm "EdDSA" (ne .Values.staff.existingSecret "") }}
{{- end }}

{{- define "switchboard.sessionsSecret" -}}
{{ .Values.console.sessions.existingSecret | default (printf "%s-sessions" (include "switchboard.fullname" .)) }}
{{- end }}

{{- define "switchboard.gatewayUrl" -}}
http://{{ include "switchboard.fullname" . }}-gateway:9089
{{- end }}

{{/* Who asks: a customer at the gateway, else somebody behind it, whom the test can sign for where it holds the key. */}}
{{- define "switchboard.test.asks" -}}
{{- $door := include "switchboard.hasGateway" . -}}
{{- if and $door (or .Values.test.tokenSecret (include "switchboard.isDemo" .)) -}}customer
{{- else if or .Values.trustUserId (and .Values.test.tokenSecret (not $door)) -}}behind
{{- else if and (eq .Values.callers.algorithm "EdDSA") (or $door (not .Values.callers.existingSecret)) -}}behind, and signs
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
{{ .Values.callers.existingSecret | default (printf "%s-caller-key" (include "switchboard.fullname" .)) }}
{{- end }}

{{- define "switchboard.namesSecret" -}}
{{ .Values.gateway.names.existingSecret | default (printf "%s-names" (include "switchboard.fullname" .)) }}
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
{{- $host := $postgres.external.host -}}
postgresql://{{ .role }}@{{ contains ":" $host | ternary (printf "[%s]" (trimAll "[]" $host)) $host }}:{{ $postgres.external.port }}/{{ $postgres.database }}?sslmode={{ $postgres.external.sslMode }}
{{- end -}}
{{- end }}

{{/* (dict "name" ENV "secret" NAME "key" KEY) */}}
{{- define "switchboard.secretEnv" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}

{{/* (dict "root" $ "name" "versions"): a service account that has a Role; the Role's rules are to follow. */}}
{{- define "switchboard.account" -}}
{{- $name := printf "%s-%s" (include "switchboard.fullname" .root) .name -}}
{{- $labels := include "switchboard.labels" (dict "root" .root "component" "registry") -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
  {{- include "switchboard.annotations" .root }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
  {{- include "switchboard.annotations" .root }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace | quote }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
  {{- include "switchboard.annotations" .root }}
{{- end }}
