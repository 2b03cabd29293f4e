{{/*
The one pod template: of every service, job and test. Arguments:
  root, room   where it stands; the room gives image, port and settings
  component    its label, if it is not the room's
  name         of the container, if it is not the room's
  args         of the program
  env          environment, as YAML
  init         init containers, as YAML
  annotations  more of them, as a dictionary
  serves       whether it listens: ports, probes, spread
  pod, container   more fields of the pod or of the container, as YAML
*/}}
{{- define "switchboard.pod" -}}
{{- $root := .root -}}
{{- $room := get (include "switchboard.rooms" $root | fromYaml) .room -}}
{{- $values := get $root.Values $room.values -}}
{{- $component := .component | default .room -}}
metadata:
  labels:
    {{- include "switchboard.labels" (dict "root" $root "component" $component) | nindent 4 }}
    {{- if .serves }}
    switchboard/serves: "true"
    {{- end }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .name | default .room }}
    {{- with .annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with and .serves $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .pod }}
  {{- . | nindent 2 }}
  {{- end }}
  automountServiceAccountToken: {{ .token | default false }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add $root.Values.drainSeconds 10 }}
  securityContext:
    {{- include "switchboard.podSecurity" 10001 | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .init }}
  initContainers:
    {{- trim . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .name | default .room }}
      {{- include "switchboard.container" . | nindent 6 }}
      {{- with .env }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      {{- if .serves }}
      ports:
        - {name: {{ $room.portName }}, containerPort: {{ $room.port }}}
        {{- with $room.watchPort }}
        - {name: watch, containerPort: {{ . }}}
        {{- end }}
        - {name: metrics, containerPort: 9100}
      startupProbe:
        httpGet: {path: /health, port: {{ $room.portName }}}
        periodSeconds: 1
        failureThreshold: 120
      livenessProbe:
        httpGet: {path: /health, port: {{ $room.portName }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /health, port: {{ $room.portName }}}
        periodSeconds: 5
        timeoutSeconds: 3
      {{- end }}
      resources:
        {{- include "switchboard.resources" (ternary $values.resources nil (.serves | default false)) | nindent 8 }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .serves }}
  topologySpreadConstraints:
    {{- if kindIs "slice" $values.topologySpreadConstraints }}
    {{- toYaml $values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "switchboard.selector" (dict "root" $root "component" $component) | nindent 10 }}
    {{- end }}
  {{- end }}
{{- end }}

{{/* Image, arguments, mounts and security of a container of this room. */}}
{{- define "switchboard.container" -}}
{{- $room := get (include "switchboard.rooms" .root | fromYaml) .room -}}
{{- $values := get .root.Values $room.values -}}
image: {{ include "switchboard.image" (dict "root" .root "package" $room.package "image" $values.image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with .command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- include "switchboard.containerSecurity" .root.Values.readOnlyRootFilesystem | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- with .mounts }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What runs once and ends needs little. */}}
{{- define "switchboard.resources" -}}
{{- if . -}}
{{- toYaml . }}
{{- else -}}
requests: {cpu: 20m, memory: 64Mi}
limits: {memory: 256Mi}
{{- end -}}
{{- end }}

{{- define "switchboard.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "switchboard.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ . }}
capabilities: {drop: [ALL]}
{{- end }}
