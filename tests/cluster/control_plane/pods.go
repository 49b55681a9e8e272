package main

import (
	"context"
	"fmt"
	"log"
	"regexp"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"
)

// terminated is the exit code of a program that ends on SIGTERM.
const terminated = 143

// A rule says what becomes of the pods whose name Pod matches; the first that matches holds.
type rule struct {
	Pod     string  `json:"pod"`     // a regular expression
	Exit    int32   `json:"exit"`    // exit code of the containers
	Init    int32   `json:"init"`    // exit code of the init containers
	Seconds float64 `json:"seconds"` // how long the containers run; negative: until they are told to end
	Log     string  `json:"log"`     // what they print
}

// see takes a pod of a simulated node once when it is there, and once when it is to be deleted.
func (s *simulation) see(ctx context.Context, pod *core.Pod) {
	key, act := string(pod.UID), s.run
	if pod.DeletionTimestamp != nil {
		key, act = key+" deleted", s.end
	}
	if !s.take(pod.Spec.NodeName, key) {
		return
	}
	go act(ctx, pod)
}

func (s *simulation) take(node, key string) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.taken[key] || !s.lives(node) {
		return false
	}
	s.taken[key] = true
	return true
}

// lives tells whether a node is simulated and there: what runs on a node that is gone reports nothing.
func (s *simulation) lives(node string) bool {
	found, err := s.nodes.Get(node)
	return err == nil && found.Labels[simulated] == "true"
}

// run plays a kubelet that starts a pod, and its containers until they end.
func (s *simulation) run(ctx context.Context, pod *core.Pod) {
	if ended(pod) {
		return
	}
	for told := ""; ; time.Sleep(500 * time.Millisecond) {
		missing := s.missing(pod)
		if missing == "" {
			break
		}
		if !s.update(ctx, pod, missing != told, func(p *core.Pod) { wait(p, missing) }) {
			return
		}
		told = missing
	}
	r := s.rule(pod)
	if r.Init != 0 {
		s.update(ctx, pod, true, func(p *core.Pod) { failInit(p, r.Init) })
		return
	}
	if !s.update(ctx, pod, true, begin) || r.Seconds < 0 {
		return
	}
	time.Sleep(time.Duration(r.Seconds * float64(time.Second)))
	s.update(ctx, pod, true, func(p *core.Pod) { finish(p, r.Exit) })
}

// end plays a kubelet that is told to delete a pod: its containers get SIGTERM, its phase becomes final, it goes.
func (s *simulation) end(ctx context.Context, pod *core.Pod) {
	time.Sleep(300 * time.Millisecond)
	s.change(ctx, pod, func(p *core.Pod) {
		if !ended(p) {
			finish(p, terminated)
		}
	})
	now := int64(0)
	options := meta.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &meta.Preconditions{UID: &pod.UID}}
	if err := s.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, options); err != nil && !errors.IsNotFound(err) {
		log.Print(err)
	}
}

// update changes a pod's status unless it is deleted, being deleted or on a node that is gone, and tells whether it is.
func (s *simulation) update(ctx context.Context, pod *core.Pod, needed bool, change func(*core.Pod)) bool {
	found, err := s.pods.Pods(pod.Namespace).Get(pod.Name)
	if err != nil || found.UID != pod.UID || found.DeletionTimestamp != nil || !s.lives(pod.Spec.NodeName) {
		return false
	}
	if needed {
		s.change(ctx, pod, change)
	}
	return true
}

func (s *simulation) change(ctx context.Context, pod *core.Pod, change func(*core.Pod)) {
	pods := s.client.CoreV1().Pods(pod.Namespace)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		p, err := pods.Get(ctx, pod.Name, meta.GetOptions{})
		if err != nil || p.UID != pod.UID {
			return err
		}
		change(p)
		_, err = pods.UpdateStatus(ctx, p, meta.UpdateOptions{})
		return err
	})
	if err != nil && !errors.IsNotFound(err) {
		log.Printf("pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
}

// rule returns what the ConfigMap "simulation" of the pod's namespace says of it; by default it runs for two seconds.
func (s *simulation) rule(pod *core.Pod) rule {
	var rules []rule
	if found, err := s.maps.ConfigMaps(pod.Namespace).Get("simulation"); err == nil {
		if err := yaml.UnmarshalStrict([]byte(found.Data["rules"]), &rules); err != nil {
			log.Print(err)
		}
	}
	for _, r := range rules {
		if matches, err := regexp.MatchString(r.Pod, pod.Name); err == nil && matches {
			return r
		}
	}
	return rule{Seconds: 2}
}

func ended(p *core.Pod) bool {
	return p.Status.Phase == core.PodSucceeded || p.Status.Phase == core.PodFailed
}

func wait(p *core.Pod, why string) {
	waiting := &core.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: why}
	p.Status.ContainerStatuses = statuses(p.Spec.Containers, core.ContainerState{Waiting: waiting})
}

func begin(p *core.Pod) {
	now := meta.Now()
	p.Status.Phase, p.Status.StartTime = core.PodRunning, &now
	p.Status.InitContainerStatuses = statuses(p.Spec.InitContainers, stopped(0))
	running := core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: now}}
	p.Status.ContainerStatuses = statuses(p.Spec.Containers, running)
	condition(p, core.ConditionTrue)
}

func finish(p *core.Pod, code int32) {
	p.Status.Phase = core.PodSucceeded
	if code != 0 {
		p.Status.Phase = core.PodFailed
	}
	p.Status.ContainerStatuses = statuses(p.Spec.Containers, stopped(code))
	condition(p, core.ConditionFalse)
}

func failInit(p *core.Pod, code int32) {
	p.Status.Phase = core.PodFailed
	p.Status.InitContainerStatuses = statuses(p.Spec.InitContainers, stopped(code))
	waiting := core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: "PodInitializing"}}
	p.Status.ContainerStatuses = statuses(p.Spec.Containers, waiting)
}

func statuses(containers []core.Container, state core.ContainerState) (all []core.ContainerStatus) {
	up := state.Running != nil
	for _, c := range containers {
		status := core.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Ready: up, Started: &up}
		all = append(all, status)
	}
	return all
}

func stopped(code int32) core.ContainerState {
	now, reason := meta.Now(), "Completed"
	if code != 0 {
		reason = "Error"
	}
	return core.ContainerState{Terminated: &core.ContainerStateTerminated{
		ExitCode: code, Reason: reason, StartedAt: now, FinishedAt: now,
	}}
}

func condition(p *core.Pod, ready core.ConditionStatus) {
	states := map[core.PodConditionType]core.ConditionStatus{
		core.PodInitialized: core.ConditionTrue, core.ContainersReady: ready, core.PodReady: ready,
	}
	var others []core.PodCondition
	for _, c := range p.Status.Conditions {
		if _, own := states[c.Type]; !own {
			others = append(others, c)
		}
	}
	for _, t := range []core.PodConditionType{core.PodInitialized, core.ContainersReady, core.PodReady} {
		others = append(others, core.PodCondition{Type: t, Status: states[t], LastTransitionTime: meta.Now()})
	}
	p.Status.Conditions = others
}

// missing names what a kubelet would still wait for; empty where there is nothing.
func (s *simulation) missing(pod *core.Pod) string {
	for _, v := range pod.Spec.Volumes {
		if why := s.missingVolume(pod, v); why != "" {
			return why
		}
	}
	for _, c := range append(append([]core.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		for _, e := range c.Env {
			if why := s.missingVariable(pod.Namespace, e.ValueFrom); why != "" {
				return why
			}
		}
	}
	return ""
}

func (s *simulation) missingVolume(pod *core.Pod, v core.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return s.unbound(pod.Namespace, v.PersistentVolumeClaim.ClaimName)
	case v.Ephemeral != nil:
		return s.unbound(pod.Namespace, pod.Name+"-"+v.Name)
	case v.ConfigMap != nil:
		return s.missingConfigMap(pod.Namespace, v.ConfigMap.Name, v.ConfigMap.Optional)
	case v.Secret != nil:
		return s.missingSecret(pod.Namespace, v.Secret.SecretName, "", v.Secret.Optional)
	}
	return ""
}

func (s *simulation) missingVariable(namespace string, from *core.EnvVarSource) string {
	switch {
	case from == nil:
	case from.SecretKeyRef != nil:
		return s.missingSecret(namespace, from.SecretKeyRef.Name, from.SecretKeyRef.Key, from.SecretKeyRef.Optional)
	case from.ConfigMapKeyRef != nil:
		return s.missingConfigMap(namespace, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Optional)
	}
	return ""
}

func (s *simulation) unbound(namespace, name string) string {
	claim, err := s.claims.PersistentVolumeClaims(namespace).Get(name)
	if err == nil && claim.Status.Phase == core.ClaimBound {
		return ""
	}
	return fmt.Sprintf("persistentvolumeclaim %q is not bound", name)
}

func (s *simulation) missingConfigMap(namespace, name string, optional *bool) string {
	if _, err := s.maps.ConfigMaps(namespace).Get(name); err == nil || (optional != nil && *optional) {
		return ""
	}
	return fmt.Sprintf("configmap %q not found", name)
}

func (s *simulation) missingSecret(namespace, name, key string, optional *bool) string {
	found, err := s.secrets.Secrets(namespace).Get(name)
	if optional != nil && *optional {
		return ""
	}
	if err != nil {
		return fmt.Sprintf("secret %q not found", name)
	}
	if _, there := found.Data[key]; key != "" && !there {
		return fmt.Sprintf("couldn't find key %s in Secret %s/%s", key, namespace, name)
	}
	return ""
}
