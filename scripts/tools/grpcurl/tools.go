//go:build tools

// Package tools keeps the pinned program in go.mod.
package tools

import _ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
