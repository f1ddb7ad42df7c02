package meshtask

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// problems is what is wrong with the task, at places of the Spec.
func (m *model) problems(d block.Defaults) problem.List {
	spec := m.spec(d)
	spec.TaskRoleARN, spec.ExecutionRoleARN = row.Value(m.IAM.TaskRoleOrNone().ARN), row.Value(m.IAM.ExecutionRoleOrNone().ARN)
	found := m.atContainers(taskdef.Check(spec))
	m.IAM.Check(spec.Family, spec.Tags, &found)
	d.CheckTags(m.Tags, &found)
	row.Overlay(d.Login, m.Login).Check(&found)
	if m.ECSService != nil {
		m.ECSService.Check(spec, &found)
	}
	m.Standalone.Check(spec, &found)
	m.checkExec(spec.Containers, &found)
	found = append(found, m.controllerProblems(d, found)...)
	found = m.carried().At(found)
	m.carried().Check(&found)
	found = found.In(inServices)
	if service := m.service(); service != nil && service.Proxy != nil {
		found.Add(problem.At("services", 0, "proxy"), "is there, but the proxy of the first service is in the block %s of the task: move it there", problem.At("proxy"))
	}
	return m.withJSON(found)
}

// inServices is where in the list of all services lies what a Spec has of the first service or of the further ones.
func inServices(at problem.Path) problem.Path {
	switch {
	case len(at) > 0 && at[0] == "service":
		return problem.At("services", 0).Child(at[1:]...)
	case len(at) > 1 && at[0] == "services":
		index, _ := at[1].(int)
		below := at[2:]
		if len(below) > 0 && below[0] == "service" {
			below = below[1:]
		}
		return problem.At("services", index+1).Child(below...)
	}
	return at
}

// execFolders are where the agent writes by which people run commands in a container (ECS Exec).
var execFolders = []string{"/var/lib/amazon", "/var/log/amazon"}

// checkExec warns of containers that nobody could enter though people are to be let do so. Others may be what it is for.
func (m *model) checkExec(containers []taskdef.Container, found *problem.List) {
	exec := m.execs()
	if exec == nil {
		return
	}
	for i, c := range containers {
		at := problem.At("containers", i)
		with := []problem.Path{exec, at.Child("mountPoints"), at.Child("linuxParameters", "tmpfs")}
		var writable []string
		for _, mount := range c.Definition.MountPoints {
			if !aws.ToBool(mount.ReadOnly) {
				writable = append(writable, aws.ToString(mount.ContainerPath))
			}
		}
		if p := c.Definition.LinuxParameters; p != nil {
			for _, mount := range p.Tmpfs {
				writable = append(writable, aws.ToString(mount.ContainerPath))
			}
		}
		missing := slices.DeleteFunc(slices.Clone(execFolders), func(folder string) bool { return liesIn(folder, writable) })
		if aws.ToBool(c.Definition.ReadonlyRootFilesystem) && len(missing) > 0 {
			found.Warn(with, at.Child("readonlyRootFilesystem"), "is true, but %s is for running commands in containers, and AWS's agent for that has to write to %s: mount a volume at each, or nobody can enter this container",
				exec, strings.Join(missing, " and "))
		}
	}
}

// liesIn reports whether a folder is one of some, or below one of them.
func liesIn(folder string, folders []string) bool {
	return slices.ContainsFunc(folders, func(other string) bool {
		return other != "" && strings.HasPrefix(folder+"/", strings.TrimSuffix(other, "/")+"/")
	})
}

// atContainers moves what is said of readiness probes to their containers, where the resource has them.
func (m *model) atContainers(found problem.List) problem.List {
	var probed []int
	for i, c := range m.Containers {
		if c.Probe() != nil {
			probed = append(probed, i)
		}
	}
	moved := func(at, of problem.Path) problem.Path {
		switch {
		case len(at) == 0 || at[0] != "readinessProbes":
			return at
		case len(at) == 1: // all of them, as far as one container is concerned
			return of[:2].Child("readinessProbe")
		case len(at) > 2 && at[2] == "container":
			return problem.At("containers", probed[at[1].(int)], "name")
		default:
			return problem.At("containers", probed[at[1].(int)], "readinessProbe").Child(at[2:]...)
		}
	}
	for i, p := range found {
		found[i] = p.In(func(at problem.Path) problem.Path { return moved(at, p.Path) })
	}
	return found
}

// warnOfGuardedTargets says which load balancers would end in the proxy. It takes them only where Consul was told to be
// permissive, of which nothing is known here.
func (m *model) warnOfGuardedTargets(diags *diag.Diagnostics) {
	if m.Transparent == nil || !row.Value(m.Transparent.Enabled) || m.ECSService == nil {
		return
	}
	open := slices.Clone(m.Transparent.ExcludeInboundPorts)
	if m.Proxy != nil && m.Proxy.Expose != nil {
		for _, p := range m.Proxy.Expose.Paths {
			open = append(open, row.Value(p.ListenerPort))
		}
	}
	for i, balancer := range m.ECSService.LoadBalancers {
		if port := row.Value(balancer.ContainerPort); !slices.Contains(open, port) && !attachment.IsListener(balancer.ContainerName) {
			diags.AddAttributeWarning(path.Root("ecs_service").AtName("load_balancer").AtListIndex(i).AtName("container_port"), "Load balancer ends in the proxy",
				fmt.Sprintf("Transparent proxy leads connections to port %d into the proxy, which refuses who has no certificate of the mesh: the target group would find no task healthy. "+
					"Add %[1]d to transparent_proxy.exclude_inbound_ports.", port))
		}
	}
}
