{{/*
(dict "root" $ "name" "router"): a party of flows.yaml as NetworkPolicy peers (YAML under `peers`), or nothing when the
values leave it out. A room of this chart also has `room: true`, and gets a policy of its own. An outside party may have
another `port` than the table says, or others in place of several (`ports`), and be reached at `more`.
*/}}
{{- define "switchboard.party" -}}
{{- $values := .root.Values -}}
{{- $egress := $values.networkPolicy.egress -}}
{{- if has .name (list "router" "users" "tickets" "conversations" "staff" "registry" "test") }}
{{- include "switchboard.ownParty" . }}
{{- else if eq .name "demo-model" }}
{{- if not $values.model.name }}{{ include "switchboard.ownParty" . }}{{ end }}
{{- else if eq .name "gateway" }}
{{- if include "switchboard.hasGateway" .root }}{{ include "switchboard.ownParty" . }}{{ end }}
{{- else if eq .name "console" }}
{{- if include "switchboard.hasConsole" .root }}{{ include "switchboard.ownParty" . }}{{ end }}
{{- else if eq .name "colleagues" }}
{{- if $values.networkPolicy.colleagues }}{{ include "switchboard.peerList" $values.networkPolicy.colleagues }}{{ else }}
peers:
  {{- include "switchboard.addresses" (dict "all" (list "0.0.0.0/0" "::/0")) | nindent 2 }}
  # For some network plugins, pods of the cluster belong to no address block.
  - namespaceSelector: {}
{{- end }}
{{- else if eq .name "staff-issuer" }}
{{- if and (include "switchboard.hasConsole" .root) (or (not $values.proxy.url) $egress.staffIssuer.cidrs $egress.staffIssuer.pods) }}
port: {{ include "switchboard.urlPort" $values.console.oidc.issuer }}
peers:
  {{- if or $egress.staffIssuer.cidrs (not $egress.staffIssuer.pods) }}
  {{- include "switchboard.addresses" $egress.staffIssuer | nindent 2 }}
  {{- end }}
  {{- with $egress.staffIssuer.pods }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- else if eq .name "visitors" }}
{{- if $values.networkPolicy.visitors }}{{ include "switchboard.peerList" $values.networkPolicy.visitors }}{{ else }}
peers:
  {{- include "switchboard.addresses" (dict "all" (list "0.0.0.0/0" "::/0")) | nindent 2 }}
  # For some network plugins, pods of the cluster belong to no address block.
  - namespaceSelector: {}
{{- end }}
{{- else if eq .name "issuers" }}
{{- if and (include "switchboard.hasGateway" .root) $values.gateway.issuers (or (not $values.proxy.url) $egress.issuers.cidrs $egress.issuers.pods) }}
{{- $ports := include "switchboard.urlPorts" (include "switchboard.issuerUrls" .root | fromJsonArray) | fromJsonArray }}
port: {{ first $ports }}
{{- with rest $ports }}
more: {{ toJson . }}
{{- end }}
peers:
  {{- if or $egress.issuers.cidrs (not $egress.issuers.pods) }}
  {{- include "switchboard.addresses" $egress.issuers | nindent 2 }}
  {{- end }}
  {{- with $egress.issuers.pods }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- else if eq .name "valkey" }}
{{- with $values.gateway.limits.valkey }}
{{- if and (include "switchboard.hasGateway" $.root) .host }}
port: {{ .port }}
peers:
  {{- with $egress.valkey.cidrs }}
  {{- include "switchboard.addresses" (dict "cidrs" .) | nindent 2 }}
  {{- end }}
  {{- with $egress.valkey.pods }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if not (or $egress.valkey.cidrs $egress.valkey.pods) }}
  {{- include "switchboard.addresses" (dict "all" (list "0.0.0.0/0" "::/0")) | nindent 2 }}
  # For some network plugins, pods of the cluster belong to no address block.
  - namespaceSelector: {}
  {{- end }}
{{- end }}
{{- end }}
{{- else if eq .name "versions" }}
{{- if $values.versions.enabled }}
room: true
peers:
  - podSelector:
      matchLabels:
        {{- include "switchboard.selector" (dict "root" .root "component" "registry") | nindent 8 }}
        switchboard/deletes-versions: "true"
{{- end }}
{{- else if eq .name "registration" }}
room: true
peers:
  - podSelector:
      matchLabels:
        {{- include "switchboard.selector" (dict "root" .root "component" "registry") | nindent 8 }}
        switchboard/looks-at-pods: "true"
{{- else if eq .name "acceptance" }}
{{- if include "switchboard.kept" .root | trim }}
room: true
peers:
  - podSelector:
      matchLabels:
        {{- include "switchboard.selector" (dict "root" .root "component" "registry") | nindent 8 }}
        switchboard/keeps-accepted: "true"
{{- end }}
{{- else if eq .name "postgres" }}
{{- if eq $values.postgres.mode "bundled" }}{{ include "switchboard.ownParty" . }}{{ else }}
port: {{ $values.postgres.external.port }}
peers:
  {{- include "switchboard.addresses" (dict "cidrs" $egress.postgres.cidrs "all" (list "0.0.0.0/0" "::/0")) | nindent 2 }}
  {{- if not $egress.postgres.cidrs }}
  # For some network plugins, pods of the cluster belong to no address block.
  - namespaceSelector: {}
  {{- end }}
{{- end }}
{{- else if eq .name "restate" }}
{{- if $values.restate.enabled }}
room: true
peers:
  - podSelector:
      matchLabels:
        app.kubernetes.io/name: restate
        app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- else }}
ports:
  "8080": {{ include "switchboard.urlPort" $values.externalRestate.ingressUrl }}
  "9070": {{ include "switchboard.urlPort" $values.externalRestate.adminUrl }}
{{- include "switchboard.peerList" $values.networkPolicy.restate }}
{{- end }}
{{- else if eq .name "clients" }}
{{- include "switchboard.peerList" $values.networkPolicy.clients }}
{{- else if eq .name "watchers" }}
{{- include "switchboard.peerList" $values.networkPolicy.watchers }}
{{- else if eq .name "prometheus" }}
{{- include "switchboard.peerList" $values.networkPolicy.prometheus }}
{{- else if eq .name "dns" }}
{{- include "switchboard.peerList" $values.networkPolicy.dns }}
{{- else if eq .name "tools" }}
{{- with $values.tools }}
{{- $urls := list }}
{{- range . }}{{ $urls = append $urls .url }}{{ end }}
more: {{ include "switchboard.urlPorts" $urls }}
port: {{ include "switchboard.urlPort" (first $urls) }}
peers:
  {{- range . }}
  {{- with .peers }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- with regexFind "^[a-z][-a-z0-9]*\\.([a-z0-9][-a-z0-9]*)" (regexReplaceAll "^https?://" .url "") }}
  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ splitList "." . | last }}}}
  {{- else }}
  - podSelector: {}
  {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- else if eq .name "proxy" }}
{{- with $values.proxy.url }}
port: {{ include "switchboard.urlPort" . }}
peers:
  {{- include "switchboard.addresses" (dict "cidrs" $egress.proxy.cidrs "all" (list "0.0.0.0/0" "::/0")) | nindent 2 }}
  {{- if not $egress.proxy.cidrs }}
  - namespaceSelector: {}
  {{- end }}
{{- end }}
{{- else if eq .name "model" }}
{{- if and $values.model.name (or (not $values.proxy.url) $egress.model.cidrs $egress.model.pods) }}
port: {{ include "switchboard.urlPort" $values.model.baseUrl }}
{{- with $values.model.fallbackUrls }}
more: {{ include "switchboard.urlPorts" . }}
{{- end }}
peers:
  {{- if or $egress.model.cidrs (not $egress.model.pods) }}
  {{- include "switchboard.addresses" $egress.model | nindent 2 }}
  {{- end }}
  {{- with $egress.model.pods }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- else if eq .name "status-page" }}
{{- if and $values.statusPage.url (or (not $values.proxy.url) $egress.statusPage.cidrs) }}
port: {{ include "switchboard.urlPort" $values.statusPage.url }}
peers:
  {{- include "switchboard.addresses" $egress.statusPage | nindent 2 }}
{{- end }}
{{- else if eq .name "webhooks" }}
{{- if and $values.tickets.webhook.url (or (not $values.proxy.url) $egress.webhooks.cidrs) }}
port: {{ include "switchboard.urlPort" $values.tickets.webhook.url }}
peers:
  {{- include "switchboard.addresses" $egress.webhooks | nindent 2 }}
{{- end }}
{{- else if eq .name "otlp" }}
{{- with $values.global.otlpEndpoint }}
port: {{ include "switchboard.urlPort" . }}
{{- include "switchboard.collectors" $egress.otlp }}
{{- end }}
{{- else if eq .name "restate-otlp" }}
{{- if $values.restate.enabled }}
{{- with include "restate.tracingEndpoint" .root.Subcharts.restate }}
port: {{ include "restate.urlPort" . }}
{{- include "switchboard.collectors" $egress.otlp }}
{{- end }}
{{- end }}
{{- else if eq .name "object-storage" }}
{{- if and $values.restate.enabled $values.restate.snapshots.destination }}
port: {{ include "switchboard.urlPort" $values.restate.snapshots.endpoint }}
peers:
  {{- include "switchboard.addresses" $egress.snapshots | nindent 2 }}
{{- end }}
{{- else if eq .name "kubernetes" }}
peers:
  {{- include "switchboard.addresses" (dict "cidrs" $egress.kubernetes.cidrs "all" (list "0.0.0.0/0" "::/0")) | nindent 2 }}
{{- else }}
{{- fail (printf "flows.yaml names %q, which this chart does not know" .name) }}
{{- end }}
{{- end }}

{{- define "switchboard.ownParty" }}
room: true
peers:
  - podSelector:
      matchLabels:
        {{- include "switchboard.selector" (dict "root" .root "component" .name) | nindent 8 }}
{{- end }}

{{/* Where the identity providers are asked for their keys. */}}
{{- define "switchboard.issuerUrls" -}}
{{- $urls := list -}}
{{- range .Values.gateway.issuers }}{{ $urls = concat $urls (list .issuer .jwks_url | compact) }}{{ end -}}
{{- toJson $urls -}}
{{- end }}

{{- define "switchboard.collectors" }}
peers:
  {{- if .cidrs }}
  {{- include "switchboard.addresses" . | nindent 2 }}
  {{- else }}
  - namespaceSelector: {}
  {{- end }}
{{- end }}

{{- define "switchboard.peerList" }}
{{- with . }}
peers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (dict "cidrs" [...] "all" [...]): address blocks; without any, every public address. */}}
{{- define "switchboard.addresses" -}}
{{- range (.cidrs | default .all) }}
- ipBlock: {cidr: {{ . | quote }}}
{{- else }}
- ipBlock:
    cidr: 0.0.0.0/0
    except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
- ipBlock:
    cidr: "::/0"
    except: ["fc00::/7", "fe80::/10"]
{{- end }}
{{- end }}

{{/* The port of a URL; of none, that of https. */}}
{{- define "switchboard.urlPort" -}}
{{- regexFind ":[0-9]+(/|$)" . | trimAll ":/" | default (ternary "80" "443" (hasPrefix "http:" .)) -}}
{{- end }}

{{/* The ports of some URLs, each once, as a list. */}}
{{- define "switchboard.urlPorts" -}}
{{- $ports := list -}}
{{- range . }}{{ $ports = append $ports (include "switchboard.urlPort" . | int) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end }}
