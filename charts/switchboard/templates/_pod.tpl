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
{{- $ends := contains "restartPolicy: Never" (.pod | default "") -}}
{{- $labels := include "switchboard.labels" (dict "root" $root "component" $component) | fromYaml -}}
{{- if .serves }}{{ $_ := set $labels "switchboard/serves" "true" }}{{ end -}}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" (.name | default .room) -}}
{{- $more := ternary $root.Values.jobs (dict "labels" dict "annotations" dict) $ends -}}
metadata:
  labels:
    {{- toYaml (merge $labels (.labels | default dict) $more.labels $root.Values.pods.labels) | nindent 4 }}
  annotations:
    {{- $own := ternary $values.podAnnotations dict (.serves | default false) }}
    {{- toYaml (merge $annotations (.annotations | default dict) ($own | default dict) $more.annotations $root.Values.pods.annotations) | nindent 4 }}
spec:
  {{- with .pod }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if not (contains "serviceAccountName:" (.pod | default "")) }}
  {{- with include "switchboard.serviceAccount" $root }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- end }}
  automountServiceAccountToken: {{ .token | default false }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add $root.Values.drainSeconds 10 }}
  securityContext:
    {{- include "switchboard.podSecurity" (dict "root" $root "user" 10001) | nindent 4 }}
  {{- include "switchboard.ofAllPods" (dict "root" $root "own" $values) | nindent 2 }}
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
      {{- with .container }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- if .serves }}
      ports:
        - {name: {{ $room.portName }}, containerPort: {{ $room.port }}}
        {{- with $room.watchPort }}
        - {name: watch, containerPort: {{ . }}}
        {{- end }}
        {{- with $room.deskPort }}
        - {name: desk, containerPort: {{ . }}}
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
        {{- toYaml (ternary $values.resources $root.Values.jobs.resources (.serves | default false)) | nindent 8 }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumes }}
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

{{/*
(dict "root" $ "own" .Values.router): what the values say of every pod, and of this one: pull secrets, priority and where it
runs. A service account of its own stands in the pod already.
*/}}
{{- define "switchboard.ofAllPods" -}}
{{- $pods := .root.Values.pods -}}
{{- $own := .own | default dict -}}
{{- include "switchboard.pullSecrets" .root | trim }}
{{- with $pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $pods.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.nodeSelector | default $pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations | default $pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (dict "root" $ "user" 10001): nobody's root; with a user and a group of its own, unless the cluster gives them. */}}
{{- define "switchboard.podSecurity" -}}
runAsNonRoot: true
{{- if not (include "switchboard.userless" .root) }}
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "switchboard.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ . }}
capabilities: {drop: [ALL]}
{{- end }}
