package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	core "k8s.io/api/core/v1"
)

// kubelet answers the API server in the place of every node's kubelet: what `kubectl logs` shows of a pod is what the
// rule for it says.
func (s *simulation) kubelet() {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	server := httptest.NewTLSServer(routes)
	s.kubeletPort = int32(server.Listener.Addr().(*net.TCPAddr).Port)
}

func (s *simulation) logs(answer http.ResponseWriter, request *http.Request) {
	pod, err := s.pods.Pods(request.PathValue("namespace")).Get(request.PathValue("pod"))
	if err != nil {
		http.Error(answer, err.Error(), http.StatusNotFound)
		return
	}
	lines := strings.SplitAfter(s.rule(pod).Log, "\n")
	if count, err := strconv.Atoi(request.URL.Query().Get("tailLines")); err == nil && count < len(lines) {
		lines = lines[len(lines)-count:]
	}
	fmt.Fprint(answer, strings.Join(lines, ""))
}

// reachable tells the API server where a node's kubelet is: all of them are one.
func (s *simulation) reachable(status *core.NodeStatus) {
	status.Addresses = []core.NodeAddress{{Type: core.NodeInternalIP, Address: "127.0.0.1"}}
	status.DaemonEndpoints.KubeletEndpoint.Port = s.kubeletPort
}
