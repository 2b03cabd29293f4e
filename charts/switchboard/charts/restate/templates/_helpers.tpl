{{- define "restate.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-restate" .Release.Name) (contains "restate" .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* What selects the nodes' pods. */}}
{{- define "restate.selector" -}}
app.kubernetes.io/name: restate
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: restate
{{- end }}

{{- define "restate.labels" -}}
{{ include "restate.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Annotations of an object that has none of its own, as a part of its metadata. */}}
{{- define "restate.annotations" -}}
{{- with .Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* The Secrets with which images are pulled: the release's and this chart's, as names or as `{name: ...}`. */}}
{{- define "restate.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.image.pullSecrets -}}
{{- $names = append $names (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $names | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "restate.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "restate.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "restate.image" -}}
{{- include "restate.imageOf" (dict "root" . "image" (merge (dict "tag" (.Values.image.tag | default .Chart.AppVersion)) .Values.image)) -}}
{{- end }}

{{/*
(dict "root" $ "image" (dict "repository" "busybox" "tag" "1.36" "digest" "")): the image of that name. The registry of all images
takes the place of its own, if it names one: of what stands before the first slash and has a dot or a port.
*/}}
{{- define "restate.imageOf" -}}
{{- $repository := .image.repository -}}
{{- with .root.Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- with .image -}}
{{ $repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end -}}
{{- end }}

{{- define "restate.partitions" -}}
{{- .Values.partitions | default (ternary 24 4 (gt (int .Values.replicas) 1)) -}}
{{- end }}

{{/* (dict "root" $ "node" 0): the name by which a node is found. */}}
{{- define "restate.nodeHost" -}}
{{- $name := include "restate.fullname" .root -}}
{{ $name }}-{{ .node }}.{{ $name }}-nodes.{{ .root.Release.Namespace }}.svc
{{- end }}

{{/* Every node's URL, as a JSON list. */}}
{{- define "restate.nodeUrls" -}}
{{- $urls := list -}}
{{- range $node := until (int .Values.replicas) -}}
{{- $urls = append $urls (printf "http://%s:5122/" (include "restate.nodeHost" (dict "root" $ "node" $node))) -}}
{{- end -}}
{{- toJson $urls -}}
{{- end }}

{{/* Where traces go, as restate-server wants it; nothing when there are none. A parent chart may ask, too. */}}
{{- define "restate.tracingEndpoint" -}}
{{- if .Values.tracing.endpoint -}}
{{ .Values.tracing.endpoint }}
{{- else -}}
{{- with .Values.global.otlpEndpoint }}otlp+{{ . }}/v1/traces{{ end -}}
{{- end -}}
{{- end }}

{{/* The settings of restate-server as a map, the chart's own under `config`; what extraEnv names is left to it. */}}
{{- define "restate.settings" -}}
{{- $own := dict
  "RESTATE_CLUSTER_NAME" (.Values.clusterName | default (include "restate.fullname" .))
  "RESTATE_NODE_NAME" "$(POD_NAME)"
  "RESTATE_BASE_DIR" "/restate-data"
  "RESTATE_LISTEN_MODE" "tcp"
  "RESTATE_ADVERTISED_ADDRESS" (printf "http://$(POD_NAME).%s-nodes.%s.svc:5122/" (include "restate.fullname" .) .Release.Namespace)
  "RESTATE_METADATA_CLIENT__ADDRESSES" (include "restate.nodeUrls" .)
  "RESTATE_AUTO_PROVISION" (eq (int .Values.replicas) 1)
  "RESTATE_DEFAULT_NUM_PARTITIONS" (include "restate.partitions" .)
  "RESTATE_DEFAULT_REPLICATION" (ternary 2 1 (gt (int .Values.replicas) 1))
  "RESTATE_INGRESS__ADVERTISED_ADDRESS" .Values.advertisedIngressUrl
  "RESTATE_INGRESS__REQUEST_SIZE_LIMIT" "2 MiB"
  "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE" .Values.memory.rocksdb
  "RESTATE_WORKER__INVOKER__MEMORY_LIMIT" .Values.memory.invoker
  "RESTATE_ADMIN__QUERY_ENGINE__MEMORY_SIZE" .Values.memory.queryEngine
  "RESTATE_BIFROST__RECORD_CACHE_MEMORY_SIZE" .Values.memory.logCache
  "RESTATE_LOG_FORMAT" .Values.log.format
  "RESTATE_LOG_FILTER" .Values.log.filter
  "RESTATE_SHUTDOWN_TIMEOUT" (printf "%ds" (sub .Values.terminationGracePeriodSeconds 10))
  "RESTATE_DISABLE_TELEMETRY" true
-}}
{{- if .Values.identity.enabled -}}
{{- $_ := set $own "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE" (printf "/restate-identity/%s" (include "restate.identityKey" .)) -}}
{{- end -}}
{{- with include "restate.tracingEndpoint" . -}}
{{- $_ := set $own "RESTATE_TRACING_ENDPOINT" . -}}
{{- /* Its inner spans, which it would make and send nowhere; those of invocations pass this filter. */ -}}
{{- $_ := set $own "RESTATE_TRACING_FILTER" "warn" -}}
{{- end -}}
{{- with .Values.snapshots -}}
{{- if .destination -}}
{{- $_ := set $own "RESTATE_WORKER__SNAPSHOTS__DESTINATION" .destination -}}
{{- $_ := set $own "RESTATE_WORKER__SNAPSHOTS__SNAPSHOT_INTERVAL" .interval -}}
{{- with .region }}{{ $_ := set $own "RESTATE_WORKER__SNAPSHOTS__AWS_REGION" . }}{{ end -}}
{{- with .endpoint -}}
{{- $_ := set $own "RESTATE_WORKER__SNAPSHOTS__AWS_ENDPOINT_URL" . -}}
{{- $_ := set $own "RESTATE_WORKER__SNAPSHOTS__AWS_ALLOW_HTTP" (hasPrefix "http://" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $settings := merge (deepCopy .Values.config) $own -}}
{{- range .Values.extraEnv -}}
{{- $_ := unset $settings .name -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{/* The port of a URL. */}}
{{- define "restate.urlPort" -}}
{{- $url := urlParse . -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (hasSuffix "https" $url.scheme)) -}}
{{- end }}

{{- define "restate.podSecurity" -}}
{{- $adapts := .Values.global.compatibility.openshift.adaptSecurityContext -}}
runAsNonRoot: true
{{- if not (or (eq $adapts "force") (and (eq $adapts "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1"))) }}
runAsUser: 10002
runAsGroup: 10002
fsGroup: 10002
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "restate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
