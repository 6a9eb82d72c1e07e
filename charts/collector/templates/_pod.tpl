{{/* The pod template of both workloads. */}}
{{- define "collector.pod" -}}
metadata:
  labels:
    {{- include "collector.podLabels" . | nindent 4 }}
  annotations:
    checksum/config: {{ include "collector.settings" . | sha256sum }}
    {{- if and .Values.monitor.annotations (not .Values.monitor.enabled) }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "9465"
    prometheus.io/path: /metrics
    {{- end }}
    {{- with .Values.extraAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "collector.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
  {{- end }}
  terminationGracePeriodSeconds: {{ include "collector.terminationSeconds" . }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
  - name: collector
    image: {{ include "collector.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [/usr/bin/tracehop-collector]
    envFrom:
    - configMapRef:
        name: {{ .Values.name }}
    {{- with .Values.extraEnv }}
    env:
      {{- toYaml . | nindent 4 }}
    {{- end }}
    ports:
    - name: grpc-otlp
      containerPort: 4317
    - name: http-otlp
      containerPort: 4318
    - name: http-zipkin
      containerPort: 9411
    - name: http-admin
      containerPort: 9465
    {{- with .Values.probes.startup }}
    startupProbe:
      grpc:
        port: 4317
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.probes.readiness }}
    readinessProbe:
      grpc:
        port: 4317
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.probes.liveness }}
    livenessProbe:
      httpGet:
        path: /healthz
        port: http-admin
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if and .Values.drain.preStopSeconds (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) }}
    lifecycle:
      preStop:
        sleep:
          seconds: {{ .Values.drain.preStopSeconds | int }}
    {{- end }}
    {{- with .Values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.securityContext }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if .Values.relayTo }}
    volumeMounts:
    - name: journal
      mountPath: /var/lib/tracehop
    {{- end }}
  {{- if and .Values.relayTo (not (include "collector.hasVolume" .)) }}
  volumes:
  - name: journal
    emptyDir:
      sizeLimit: {{ .Values.journal.size }}
  {{- end }}
  {{- with .Values.spread.topologyKeys }}
  topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "collector.selector" $ | nindent 8 }}
    {{- if not (include "collector.hasVolume" $) }}
    {{- /* Not counting the pods that a rollout is about to end. */}}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
