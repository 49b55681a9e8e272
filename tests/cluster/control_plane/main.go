// Command control-plane is a Kubernetes control plane on loopback, for the suite in tests/cluster: the components of a
// release from their Go modules, simulated nodes, and Volcano's programs where the user has them.
package main

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const usage = `control-plane up STATE [VOLCANO]   start in the background, print the KUBECONFIG
control-plane down STATE           stop, and remove the state`

var components = map[string]func() error{
	"kube-apiserver":          func() error { return cli.RunNoErrOutput(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() error { return cli.RunNoErrOutput(controllers.NewControllerManagerCommand()) },
	"kube-scheduler":          func() error { return cli.RunNoErrOutput(scheduler.NewSchedulerCommand()) },
	"etcd":                    etcd,
	"nodes":                   nodes,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("%s", usage)
	}
	if component, known := components[words[0]]; known {
		os.Args = words
		go endWithParent()
		return component()
	}
	if len(words) < 2 {
		return fmt.Errorf("%s", usage)
	}
	volcano := ""
	if len(words) > 2 {
		volcano = words[2]
	}
	switch words[0] {
	case "up":
		return up(words[1], volcano)
	case "serve":
		return serve(words[1], volcano)
	case "down":
		return down(words[1])
	}
	return fmt.Errorf("%s", usage)
}

// endWithParent ends a component when its standard input does, a pipe that its parent holds open.
func endWithParent() {
	io.Copy(io.Discard, os.Stdin)
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
}
