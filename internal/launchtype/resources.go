package launchtype

import (
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// wholeInstance asks for every device of a kind that the container instance has.
const wholeInstance = "ALL"

// CheckResources checks the GPUs and other devices that the containers ask for, and that those go together. path is that of the
// containers.
func (t Types) CheckResources(containers []ecstypes.ContainerDefinition, path problem.Path, found *problem.List) {
	var gpu, neuron problem.Path // the first that asked
	shares := false
	for i, c := range containers {
		for j, r := range c.ResourceRequirements {
			at := path.Child(i, "resourceRequirements", j)
			switch r.Type {
			case ecstypes.ResourceTypeGpu:
				t.checkGPU(r, at, found)
				if gpu == nil {
					gpu, shares = at, r.SharingStrategy != nil
				} else if shares != (r.SharingStrategy != nil) {
					with := []problem.Path{gpu, at.Child("value"), at.Child("sharingStrategy")}
					found.AddWith(with, at, "asks for a GPU in another way than %s: either all containers of a task share one, or none does", gpu)
				}
			case ecstypes.ResourceTypeNeuronDevice:
				t.checkNeuron(r, at, found)
				if neuron != nil {
					found.AddWith([]problem.Path{neuron}, at, "asks for the Neuron devices, which %s has: one container of a task may", neuron)
				}
				neuron = at
			case ecstypes.ResourceTypeInferenceAccelerator:
				found.Add(at.Child("type"), "is %s, which AWS no longer offers: leave the requirement out", r.Type)
			}
		}
	}
}

func (t Types) checkGPU(r ecstypes.ResourceRequirement, at problem.Path, found *problem.List) {
	if t.Has(ecstypes.CompatibilityFargate) {
		found.AddWith([]problem.Path{place}, at, "asks for a GPU, which FARGATE does not have")
	}
	value, sharing := at.Child("value"), at.Child("sharingStrategy")
	if r.SharingStrategy != nil {
		if r.Value != nil {
			found.AddWith([]problem.Path{value}, sharing, "is not allowed together with %s: the container shares a GPU or has some to itself", value)
		}
		checkSharing(r.SharingStrategy, sharing, found)
		return
	}
	number := aws.ToString(r.Value)
	if n, err := strconv.ParseFloat(number, 64); number != wholeInstance && (err != nil || n <= 0) { // instances with a part of a GPU take fractions
		found.AddWith([]problem.Path{sharing}, value, "is %q, want the number of GPUs, or %s", number, wholeInstance)
	}
}

func checkSharing(strategy ecstypes.SharingStrategy, at problem.Path, found *problem.List) {
	mps, ok := strategy.(*ecstypes.SharingStrategyMemberNvidiaMps)
	if !ok {
		return
	}
	memory := at.Child("nvidiaMps", "memory")
	switch n := mps.Value.Memory; {
	case n == nil:
		found.Add(memory, "is missing: want the MiB of the GPU's memory that the container gets")
	case *n < 1:
		found.Add(memory, "is %d MiB, want at least 1", *n)
	}
	if n := mps.Value.MaxComputePercent; n != nil && (*n < 1 || *n > 100) {
		found.Add(at.Child("nvidiaMps", "maxComputePercent"), "is %d, want 1 to 100", *n)
	}
}

func (t Types) checkNeuron(r ecstypes.ResourceRequirement, at problem.Path, found *problem.List) {
	if others := slices.DeleteFunc(slices.Clone(t), func(c ecstypes.Compatibility) bool { return c == ecstypes.CompatibilityManagedInstances }); len(others) > 0 {
		found.AddWith([]problem.Path{place}, at.Child("type"), "is %s, which MANAGED_INSTANCES alone have: leave %v out of %s", r.Type, others, place)
	}
	if value := aws.ToString(r.Value); value != wholeInstance {
		found.Add(at.Child("value"), "is %q, want %s: a container gets all Neuron devices of its instance", value, wholeInstance)
	}
	if r.SharingStrategy != nil {
		found.Add(at.Child("sharingStrategy"), "is for GPUs alone: leave it out")
	}
}
