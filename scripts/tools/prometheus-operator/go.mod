module tracehop/scripts/tools/prometheus-operator

go 1.26.0

// Only read: what a ServiceMonitor may say.
require github.com/prometheus-operator/prometheus-operator v0.85.0
