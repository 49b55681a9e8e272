package main

import (
	"context"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// nobody begins the name of a provisioner that is not installed: its classes get no volumes.
const nobody = "nobody."

// provision makes a volume for each claim of a class, and deletes the volumes that deleted claims leave behind.
func (s *simulation) provision(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(300 * time.Millisecond)
		claims, _ := s.claims.List(labels.Everything())
		for _, claim := range claims {
			if class := s.wanted(claim); class != nil {
				s.client.CoreV1().PersistentVolumes().Create(ctx, s.volume(claim, class), meta.CreateOptions{})
			}
		}
		volumes, _ := s.volumes.List(labels.Everything())
		for _, v := range volumes {
			if v.Status.Phase == core.VolumeReleased && v.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete {
				s.client.CoreV1().PersistentVolumes().Delete(ctx, v.Name, meta.DeleteOptions{})
			}
		}
	}
}

// wanted returns the class of a claim that waits for its volume and for nothing else.
func (s *simulation) wanted(claim *core.PersistentVolumeClaim) *storage.StorageClass {
	name := claim.Spec.StorageClassName
	if claim.Status.Phase != core.ClaimPending || claim.Spec.VolumeName != "" || name == nil || *name == "" {
		return nil
	}
	class, err := s.classes.Get(*name)
	if err != nil || strings.HasPrefix(class.Provisioner, nobody) || (waits(class) && chosenNode(claim) == "") {
		return nil
	}
	return class
}

func waits(class *storage.StorageClass) bool {
	return class.VolumeBindingMode != nil && *class.VolumeBindingMode == storage.VolumeBindingWaitForFirstConsumer
}

func chosenNode(claim *core.PersistentVolumeClaim) string {
	return claim.Annotations["volume.kubernetes.io/selected-node"]
}

func (s *simulation) volume(claim *core.PersistentVolumeClaim, class *storage.StorageClass) *core.PersistentVolume {
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{
			Name:        "pvc-" + string(claim.UID),
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": class.Provisioner},
		},
		Spec: core.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes, Capacity: claim.Spec.Resources.Requests, VolumeMode: claim.Spec.VolumeMode,
			StorageClassName: class.Name, PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			ClaimRef: &core.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: s.source(class, string(claim.UID)), NodeAffinity: affinity(claim, class),
		},
	}
}

// source is a volume of a driver that the nodes have, or else a folder.
func (s *simulation) source(class *storage.StorageClass, handle string) core.PersistentVolumeSource {
	for _, driver := range s.drivers {
		if driver.Name == class.Provisioner {
			csi := &core.CSIPersistentVolumeSource{Driver: driver.Name, VolumeHandle: handle}
			return core.PersistentVolumeSource{CSI: csi}
		}
	}
	return core.PersistentVolumeSource{HostPath: &core.HostPathVolumeSource{Path: "/simulated/" + handle}}
}

// affinity holds a volume to the node of its first consumer where the class waits for one.
func affinity(claim *core.PersistentVolumeClaim, class *storage.StorageClass) *core.VolumeNodeAffinity {
	if !waits(class) {
		return nil
	}
	host := core.NodeSelectorRequirement{
		Key: "kubernetes.io/hostname", Operator: core.NodeSelectorOpIn, Values: []string{chosenNode(claim)},
	}
	term := core.NodeSelectorTerm{MatchExpressions: []core.NodeSelectorRequirement{host}}
	return &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{term}}}
}
