package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// kept are the kinds of a release's manifest that a control plane without pods can use.
var kept = []string{
	"Namespace", "CustomResourceDefinition", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	"ClusterRole", "ClusterRoleBinding", "ServiceAccount",
}

const schedulerConfiguration = `actions: "enqueue, allocate, backfill"
tiers:
- plugins:
  - {name: priority}
  - {name: gang, enablePreemptable: false}
  - {name: conformance}
- plugins:
  - {name: overcommit}
  - {name: drf, enablePreemptable: false}
  - {name: predicates}
  - {name: proportion}
  - {name: nodeorder}
  - {name: binpack}
`

// volcano starts the programs in a folder, with what the release's manifest installs for them. The scheduler's
// configuration is the release's default.
func (p *plane) volcano(folder string) error {
	port := free()
	url := fmt.Sprintf("https://127.0.0.1:%d", port)
	manifest, paths, err := volcanoManifest(filepath.Join(folder, "volcano.yaml"), url)
	if err != nil {
		return err
	}
	if err := p.apply(manifest)(); err != nil {
		return err
	}
	configuration, admission := p.in("cache", "volcano-scheduler.conf"), p.in("cache", "admission.conf")
	if err := errors.Join(os.WriteFile(configuration, []byte(schedulerConfiguration), 0o600), os.WriteFile(admission, nil, 0o600)); err != nil {
		return err
	}
	common := []string{"--kubeconfig", p.in("kubeconfig"), "--logtostderr"}
	start := func(name string, words ...string) error {
		return p.program(name, filepath.Join(folder, name), append(slices.Clone(common), words...)...)
	}
	if err := start("vc-webhook-manager", "--listen-address", "127.0.0.1", "--port", fmt.Sprint(port), "--webhook-url", url,
		"--tls-cert-file", p.in("pki", "server.crt"), "--tls-private-key-file", p.in("pki", "server.key"),
		"--ca-cert-file", p.in("pki", "ca.crt"), "--admission-conf", admission,
		"--enabled-admission", strings.Join(paths, ",")); err != nil {
		return err
	}
	if err := p.wait("Volcano's webhooks", func() bool { return listens(port) }); err != nil {
		return err
	}
	if err := start("vc-scheduler", "--scheduler-conf", configuration, "--leader-elect=false",
		"--listen-address", fmt.Sprintf("127.0.0.1:%d", free()), "--cache-dumper=false"); err != nil {
		return err
	}
	if err := start("vc-controller-manager", "--leader-elect=false"); err != nil {
		return err
	}
	return p.wait("Volcano's default queue", func() bool { return p.kubectl(nil, "get", "queue", "default") == nil })
}

func listens(port int) bool {
	connection, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err == nil {
		connection.Close()
	}
	return err == nil
}

// volcanoManifest returns what is kept of a release's manifest, and the paths of its webhooks, which are looked for on
// this machine. The release, which no pod tells here, is noted on its namespace.
func volcanoManifest(file, url string) (manifest []byte, paths []string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	release := imageRelease(string(text))
	decoder := yamlstream.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var out bytes.Buffer
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			slices.Sort(paths)
			return out.Bytes(), slices.Compact(paths), nil
		} else if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(kept, object.GetKind()) {
			continue
		}
		if object.GetKind() == "Namespace" {
			object.SetAnnotations(map[string]string{"ftgen.dev/volcano-release": release})
		}
		paths = append(paths, redirect(object, url)...)
		document, err := yaml.Marshal(object.Object)
		if err != nil {
			return nil, nil, err
		}
		out.WriteString("---\n")
		out.Write(document)
	}
}

func imageRelease(manifest string) string {
	_, tag, _ := strings.Cut(manifest, "vc-scheduler:")
	release, _, _ := strings.Cut(tag, "\n")
	return strings.Trim(release, "\"' ")
}

// redirect has the webhooks of a configuration called by URL, and returns their paths.
func redirect(object *unstructured.Unstructured, url string) (paths []string) {
	hooks, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
	for _, hook := range hooks {
		fields := hook.(map[string]any)
		path, _, _ := unstructured.NestedString(fields, "clientConfig", "service", "path")
		fields["clientConfig"] = map[string]any{"url": url + path}
		paths = append(paths, path)
	}
	if hooks != nil {
		unstructured.SetNestedSlice(object.Object, hooks, "webhooks")
	}
	return paths
}
