package main

import (
	"bytes"
	"crypto/x509/pkix"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed base.yaml
var base []byte

//go:embed nodes.yaml
var hardware []byte

const imitated = `Imitated: nodes (they run no process: a pod starts when its claims, secrets and config maps are there, and
ends after two seconds, or as the ConfigMap "simulation" of its namespace says) and the provisioner of volumes.
Real: etcd, API server, controllers and scheduler of Kubernetes%s.
`

// up starts a control plane in the background and returns when it answers.
func up(state, volcano string) error {
	if err := os.MkdirAll(filepath.Join(state, "log"), 0o700); err != nil {
		return err
	}
	if pid, err := running(state); err == nil {
		return fmt.Errorf("process %d serves from %s already", pid, state)
	}
	os.Remove(filepath.Join(state, "ready"))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.Command(self, "serve", state, volcano)
	server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := start(server, filepath.Join(state, "log", "serve.log")); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	return answer(state, volcano, ended)
}

func answer(state, volcano string, ended <-chan error) error {
	for range 240 {
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(state, "log", "serve.log"))
			return fmt.Errorf("the control plane did not start: %s", log)
		case <-time.After(500 * time.Millisecond):
		}
		if _, err := os.Stat(filepath.Join(state, "ready")); err == nil {
			real := ""
			if volcano != "" {
				real = ", Volcano's programs"
			}
			fmt.Printf(imitated+"\nKUBECONFIG=%s\n", real, filepath.Join(state, "kubeconfig"))
			return nil
		}
	}
	return errors.New("the control plane did not answer within two minutes; see " + filepath.Join(state, "log"))
}

// down stops the process that serves from a folder, which stops its own, and removes the folder's state.
func down(state string) error {
	pid, err := running(state)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for range 300 {
		if _, err := running(state); err != nil {
			for _, name := range []string{"etcd", "pki", "log", "cache", "kubeconfig", "ready", "pid"} {
				os.RemoveAll(filepath.Join(state, name))
			}
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("process %d did not end within 30 s", pid)
}

// running returns the process that holds the lock on a state's process id, so that a number used anew is none.
func running(state string) (int, error) {
	file, err := os.Open(filepath.Join(state, "pid"))
	if err != nil {
		return 0, fmt.Errorf("nothing serves from %s", state)
	}
	defer file.Close()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0, fmt.Errorf("nothing serves from %s", state)
	}
	text := make([]byte, 20)
	n, _ := file.Read(text)
	return strconv.Atoi(strings.TrimSpace(string(text[:n])))
}

// hold notes this process's id under a lock that lasts as long as the process.
func hold(state string) error {
	file, err := os.OpenFile(filepath.Join(state, "pid"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	file.Truncate(0)
	_, err = fmt.Fprintln(file, os.Getpid())
	locked = file
	return err
}

// locked keeps the file of the lock open.
var locked *os.File

// A plane is a control plane that this process starts and stops.
type plane struct {
	state  string
	self   string
	failed chan error

	lock    sync.Mutex
	ending  bool
	started []*exec.Cmd
}

// serve runs all components until it is told to end, or one of them ends.
func serve(state, volcano string) error {
	state, err := filepath.Abs(state)
	if err != nil {
		return err
	}
	if err := hold(state); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p := &plane{state: state, self: self, failed: make(chan error, 20)}
	defer p.stop()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		if err := p.start(volcano); err != nil {
			p.failed <- err
		}
	}()
	select {
	case <-stop:
		return nil
	case err := <-p.failed:
		return err
	}
}

func (p *plane) start(volcano string) error {
	for _, step := range []func() error{p.certify, p.kubernetes, p.apply(base), p.simulate} {
		if err := step(); err != nil {
			return err
		}
	}
	if volcano != "" {
		if err := p.volcano(volcano); err != nil {
			return err
		}
	}
	return os.WriteFile(p.in("ready"), nil, 0o600)
}

func (p *plane) in(names ...string) string {
	return filepath.Join(append([]string{p.state}, names...)...)
}

func (p *plane) certify() error {
	for _, folder := range []string{"pki", "etcd", "cache", "log"} {
		if err := os.MkdirAll(p.in(folder), 0o700); err != nil {
			return err
		}
	}
	ca, err := newAuthority(p.in("pki"))
	if err != nil {
		return err
	}
	if err := ca.issue("server", pkix.Name{CommonName: "server"}); err != nil {
		return err
	}
	return ca.issue("admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
}

func (p *plane) kubernetes() error {
	port, storage, peer := free(), loopback(free()), loopback(free())
	server := fmt.Sprintf("https://127.0.0.1:%d", port)
	ca := &authority{folder: p.in("pki")}
	if err := ca.kubeconfig(p.in("kubeconfig"), server); err != nil {
		return err
	}
	if err := p.component("etcd", "--data-dir", p.in("etcd"), "--client", storage, "--peer", peer); err != nil {
		return err
	}
	if err := p.component("kube-apiserver", p.apiserver(port, storage)...); err != nil {
		return err
	}
	if err := p.wait("the API server", func() bool { return p.kubectl(nil, "get", "--raw", "/readyz") == nil }); err != nil {
		return err
	}
	if err := p.component("kube-controller-manager", "--kubeconfig", p.in("kubeconfig"), "--secure-port", "0",
		"--leader-elect=false", "--use-service-account-credentials", "--root-ca-file", p.in("pki", "ca.crt"),
		"--service-account-private-key-file", p.in("pki", "service-accounts.key"), "--cert-dir", p.in("cache"),
		"--kube-api-qps", "200", "--kube-api-burst", "400"); err != nil {
		return err
	}
	return p.schedule()
}

func (p *plane) apiserver(port int, storage string) []string {
	pki := func(name string) string { return p.in("pki", name) }
	return []string{
		"--etcd-servers", storage, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(port), "--endpoint-reconciler-type", "none", "--authorization-mode", "RBAC",
		"--client-ca-file", pki("ca.crt"), "--tls-cert-file", pki("server.crt"), "--tls-private-key-file", pki("server.key"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.96.0.0/16",
		"--service-account-key-file", pki("service-accounts.key"),
		"--service-account-signing-key-file", pki("service-accounts.key"), "--cert-dir", p.in("cache"),
	}
}

// schedule starts a scheduler that answers to HAMi's name as well, whose own shares cards and is not here.
func (p *plane) schedule() error {
	config := fmt.Sprintf(`{"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
"clientConnection": {"kubeconfig": %q}, "leaderElection": {"leaderElect": false},
"profiles": [{"schedulerName": "default-scheduler"}, {"schedulerName": "hami-scheduler"}]}`, p.in("kubeconfig"))
	if err := os.WriteFile(p.in("cache", "scheduler.json"), []byte(config), 0o600); err != nil {
		return err
	}
	return p.component("kube-scheduler", "--config", p.in("cache", "scheduler.json"), "--secure-port", "0")
}

func (p *plane) simulate() error {
	if err := os.WriteFile(p.in("cache", "nodes.yaml"), hardware, 0o600); err != nil {
		return err
	}
	if err := p.component("nodes", "--kubeconfig", p.in("kubeconfig"), "--nodes", p.in("cache", "nodes.yaml")); err != nil {
		return err
	}
	return p.wait("the nodes", func() bool {
		return p.kubectl(nil, "wait", "--for=condition=Ready", "node", "--all", "--timeout=20s") == nil
	})
}

// component starts a subcommand of this program, which ends with it.
func (p *plane) component(name string, words ...string) error {
	return p.program(name, p.self, append([]string{name}, words...)...)
}

func (p *plane) program(name, path string, words ...string) error {
	command := exec.Command(path, words...)
	if _, err := command.StdinPipe(); err != nil {
		return err
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.ending {
		return errors.New("told to end")
	}
	if err := start(command, p.in("log", name+".log")); err != nil {
		return err
	}
	p.started = append(p.started, command)
	go func() { p.failed <- fmt.Errorf("%s ended: %v", name, command.Wait()) }()
	return nil
}

func start(command *exec.Cmd, log string) error {
	file, err := os.Create(log)
	if err != nil {
		return err
	}
	defer file.Close()
	command.Stdout, command.Stderr = file, file
	return command.Start()
}

// stop ends what was started, the last first, and waits for it.
func (p *plane) stop() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.ending = true
	for i := len(p.started) - 1; i >= 0; i-- {
		process := p.started[i].Process
		process.Signal(syscall.SIGTERM)
		for range 50 {
			if process.Signal(syscall.Signal(0)) != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		process.Kill()
	}
}

func (p *plane) kubectl(input []byte, words ...string) error {
	command := exec.Command("kubectl", append([]string{"--kubeconfig", p.in("kubeconfig")}, words...)...)
	command.Stdin = bytes.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(words, " "), err, out)
	}
	return nil
}

func (p *plane) apply(manifest []byte) func() error {
	return func() error { return p.kubectl(manifest, "apply", "--server-side", "-f", "-") }
}

func (p *plane) wait(what string, there func() bool) error {
	for range 120 {
		if there() {
			return nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return fmt.Errorf("not within a minute: %s", what)
}

func free() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func loopback(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
