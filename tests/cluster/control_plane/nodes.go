package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	dynamic "k8s.io/api/resource/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

const (
	simulated = "ftgen.dev/simulated"
	heartbeat = 5 * time.Second
	// A node that is deleted is gone for so long, as a machine that is replaced: longer than the controllers wait
	// until they take its pods for orphans (40 s, looked at every 20).
	replacement = 2 * time.Minute
)

// A group is two nodes alike, with what the device plugins of their cards would report.
type group struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Taints []core.Taint      `json:"taints"`
	Cards  core.ResourceList `json:"cards"`
	// Devices are cards that pods claim; a driver publishes them.
	Devices struct {
		Driver string `json:"driver"`
		Count  int    `json:"count"`
	} `json:"devices"`
}

func (g group) capacity() core.ResourceList {
	all := core.ResourceList{
		"cpu": resource.MustParse("192"), "memory": resource.MustParse("2Ti"),
		"ephemeral-storage": resource.MustParse("8Ti"), "pods": resource.MustParse("110"),
	}
	maps.Copy(all, g.Cards)
	return all
}

// A simulation stands for the kubelets of all nodes and for the provisioner of volumes.
type simulation struct {
	client  kubernetes.Interface
	nodes   corelisters.NodeLister
	pods    corelisters.PodLister
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	maps    corelisters.ConfigMapLister
	secrets corelisters.SecretLister
	classes storagelisters.StorageClassLister
	drivers []storage.CSINodeDriver

	kubeletPort int32

	lock  sync.Mutex
	taken map[string]bool // pods by UID, and their deletions
}

func nodes() error {
	kubeconfig := flag.String("kubeconfig", "", "")
	file := flag.String("nodes", "", "YAML list of groups")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 500, 1000
	groups, err := read(*file)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return simulate(ctx, kubernetes.NewForConfigOrDie(config), groups)
}

func read(file string) (groups []group, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return groups, yaml.UnmarshalStrict(text, &groups)
}

func simulate(ctx context.Context, client kubernetes.Interface, groups []group) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	own := factory.Core().V1()
	s := &simulation{
		client: client, taken: map[string]bool{}, nodes: own.Nodes().Lister(), pods: own.Pods().Lister(),
		claims: own.PersistentVolumeClaims().Lister(), volumes: own.PersistentVolumes().Lister(),
		maps: own.ConfigMaps().Lister(), secrets: own.Secrets().Lister(),
		classes: factory.Storage().V1().StorageClasses().Lister(),
	}
	drivers, err := client.StorageV1().CSIDrivers().List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	for _, driver := range drivers.Items {
		s.drivers = append(s.drivers, storage.CSINodeDriver{Name: driver.Name})
	}
	own.Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.see(ctx, o.(*core.Pod)) },
		UpdateFunc: func(_, o any) { s.see(ctx, o.(*core.Pod)) },
	})
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	s.kubelet()
	go s.provision(ctx)
	for _, g := range groups {
		for i := range 2 {
			go s.live(ctx, g, fmt.Sprintf("%s-%d", g.Name, i))
		}
	}
	<-ctx.Done()
	return nil
}

// live registers a node and renews its lease, by which the node controller knows that its kubelet lives.
func (s *simulation) live(ctx context.Context, g group, name string) {
	s.register(ctx, g, name)
	for ctx.Err() == nil {
		time.Sleep(heartbeat)
		if _, err := s.nodes.Get(name); errors.IsNotFound(err) {
			time.Sleep(replacement)
			s.register(ctx, g, name)
		}
		s.beat(ctx, name)
	}
}

func (s *simulation) register(ctx context.Context, g group, name string) {
	labels := map[string]string{
		"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", simulated: "true",
		"pool": "gpu", // where the suite's caches of models lie
	}
	maps.Copy(labels, g.Labels)
	node := &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: labels},
		Spec:       core.NodeSpec{Taints: g.Taints, ProviderID: "simulated://" + name},
	}
	s.drive(ctx, name)
	s.publish(ctx, g, name)
	s.beat(ctx, name)
	if _, err := s.client.CoreV1().Nodes().Create(ctx, node, meta.CreateOptions{}); err != nil {
		log.Print(err)
	}
	for ctx.Err() == nil && s.report(ctx, g, name) != nil {
		time.Sleep(100 * time.Millisecond)
	}
}

// drive publishes the node's CSI drivers: Volcano takes a volume whose driver no node has for one that fits nowhere.
func (s *simulation) drive(ctx context.Context, name string) {
	node := &storage.CSINode{ObjectMeta: meta.ObjectMeta{Name: name}}
	for _, driver := range s.drivers {
		node.Spec.Drivers = append(node.Spec.Drivers, storage.CSINodeDriver{Name: driver.Name, NodeID: name})
	}
	s.client.StorageV1().CSINodes().Create(ctx, node, meta.CreateOptions{})
}

func (s *simulation) publish(ctx context.Context, g group, name string) {
	if g.Devices.Count == 0 {
		return
	}
	slice := &dynamic.ResourceSlice{
		ObjectMeta: meta.ObjectMeta{Name: name},
		Spec: dynamic.ResourceSliceSpec{
			Driver: g.Devices.Driver, NodeName: &name, Pool: dynamic.ResourcePool{Name: name, ResourceSliceCount: 1},
		},
	}
	for i := range g.Devices.Count {
		slice.Spec.Devices = append(slice.Spec.Devices, dynamic.Device{Name: fmt.Sprintf("gpu-%d", i)})
	}
	if _, err := s.client.ResourceV1().ResourceSlices().Create(ctx, slice, meta.CreateOptions{}); err != nil {
		log.Print(err)
	}
}

func (s *simulation) report(ctx context.Context, g group, name string) error {
	node, err := s.client.CoreV1().Nodes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return err
	}
	node.Status.Capacity, node.Status.Allocatable = g.capacity(), g.capacity()
	node.Status.NodeInfo = core.NodeSystemInfo{
		KubeletVersion: "simulated", Architecture: node.Labels["kubernetes.io/arch"], OperatingSystem: "linux",
	}
	s.reachable(&node.Status)
	now := meta.Now()
	node.Status.Conditions = []core.NodeCondition{{
		Type: core.NodeReady, Status: core.ConditionTrue, Reason: "Simulated", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	_, err = s.client.CoreV1().Nodes().UpdateStatus(ctx, node, meta.UpdateOptions{})
	return err
}

func (s *simulation) beat(ctx context.Context, name string) {
	leases := s.client.CoordinationV1().Leases("kube-node-lease")
	seconds, now := int32(40), meta.NowMicro()
	spec := coordination.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now}
	lease, err := leases.Get(ctx, name, meta.GetOptions{})
	if err != nil {
		leases.Create(ctx, &coordination.Lease{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: spec}, meta.CreateOptions{})
		return
	}
	lease.Spec = spec
	leases.Update(ctx, lease, meta.UpdateOptions{})
}
