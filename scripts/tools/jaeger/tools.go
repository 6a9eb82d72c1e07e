//go:build tools

// Package tools keeps the pinned program in go.mod.
package tools

import _ "github.com/jaegertracing/jaeger/cmd/jaeger"
