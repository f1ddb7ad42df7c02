package taskdef

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

var validVolumeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// checkVolumes checks the user's volumes and that every mount has one.
func (s Spec) checkVolumes(found *problem.List) {
	path := problem.At("task", "volumes")
	known := []string{mesh.VolumeName}
	checkKinds(s.Task.Volumes, path, found)
	for i, v := range s.Task.Volumes {
		name, at := aws.ToString(v.Name), path.Child(i, "name")
		switch {
		case name == mesh.VolumeName:
			found.Add(at, "is %q, which the mesh adds itself", name)
		case !validVolumeName.MatchString(name):
			found.Add(at, "is %q, want 1 to 255 letters, digits, '-' and '_'", name)
		case slices.Contains(known, name):
			found.Add(at, "%q is in the list twice", name)
		}
		known = append(known, name)
		checkEFS(v.EfsVolumeConfiguration, path.Child(i, "efsVolumeConfiguration"), found)
		checkS3Files(v.S3filesVolumeConfiguration, path.Child(i, "s3filesVolumeConfiguration"), found)
		s.Task.where().CheckVolume(v, path.Child(i), found)
	}
	for i := range s.Containers {
		s.checkMounts(i, known, found)
	}
}

// checkKinds wants each volume to be of one kind, and one at most to be configured at launch.
func checkKinds(volumes []ecstypes.Volume, path problem.Path, found *problem.List) {
	launched := -1
	for i, v := range volumes {
		at := path.Child(i)
		var first problem.Path
		for _, kind := range []struct {
			key string
			set bool
		}{
			{"configuredAtLaunch", aws.ToBool(v.ConfiguredAtLaunch)},
			{"host", v.Host != nil},
			{"dockerVolumeConfiguration", v.DockerVolumeConfiguration != nil},
			{"efsVolumeConfiguration", v.EfsVolumeConfiguration != nil},
			{"fsxWindowsFileServerVolumeConfiguration", v.FsxWindowsFileServerVolumeConfiguration != nil},
			{"s3filesVolumeConfiguration", v.S3filesVolumeConfiguration != nil},
		} {
			if kind.set && first != nil {
				found.AddWith([]problem.Path{first}, at.Child(kind.key), "is not allowed together with %s: a volume is of one kind", first)
			} else if kind.set {
				first = at.Child(kind.key)
			}
		}
		if !aws.ToBool(v.ConfiguredAtLaunch) {
			continue
		}
		if launched >= 0 {
			other := path.Child(launched, "configuredAtLaunch")
			found.AddWith([]problem.Path{other}, at.Child("configuredAtLaunch"), "is true, as %s is: ECS takes one such volume in a task", other)
			continue
		}
		launched = i
	}
}

// checkMounts checks the mounts of a container; known are the names of the task's volumes.
func (s Spec) checkMounts(container int, known []string, found *problem.List) {
	volumes := []problem.Path{problem.At("task", "volumes")}
	for i := range s.Task.Volumes {
		volumes = append(volumes, problem.At("task", "volumes", i, "name"))
	}
	first := map[string]problem.Path{}
	for i, mount := range s.Containers[container].Definition.MountPoints {
		path := problem.At("containers", container, "mountPoints", i)
		if name := aws.ToString(mount.SourceVolume); !slices.Contains(known, name) {
			found.AddWith(volumes, path.Child("sourceVolume"), "is %q, which is no volume of the task", name)
		}
		at := path.Child("containerPath")
		folder := aws.ToString(mount.ContainerPath)
		if !strings.HasPrefix(folder, "/") {
			found.Add(at, "is %q, want an absolute path", folder)
		} else if other, twice := first[folder]; twice {
			found.AddWith([]problem.Path{other}, at, "%q is taken by %s", folder, other)
		} else {
			first[folder] = at
		}
	}
}

// checkEFS wants what an access point and IAM need: the connection encrypted, and the access point's own directory.
func checkEFS(v *ecstypes.EFSVolumeConfiguration, path problem.Path, found *problem.List) {
	if v == nil || v.AuthorizationConfig == nil {
		return
	}
	access, iam := path.Child("authorizationConfig", "accessPointId"), path.Child("authorizationConfig", "iam")
	encryption := path.Child("transitEncryption")
	hasAccessPoint := aws.ToString(v.AuthorizationConfig.AccessPointId) != ""
	if v.TransitEncryption != ecstypes.EFSTransitEncryptionEnabled {
		switch {
		case v.AuthorizationConfig.Iam == ecstypes.EFSAuthorizationConfigIAMEnabled:
			found.AddWith([]problem.Path{iam}, encryption, "is not ENABLED, which %s needs", iam)
		case hasAccessPoint:
			found.AddWith([]problem.Path{access}, encryption, "is not ENABLED, which %s needs", access)
		}
	}
	if root := aws.ToString(v.RootDirectory); hasAccessPoint && root != "" && root != "/" {
		found.AddWith([]problem.Path{access}, path.Child("rootDirectory"), "is %q, which is not allowed together with %s: the access point has a directory of its own, so leave this out", root, access)
	}
}

// checkS3Files wants a file system, and its root where an access point has a directory of its own.
func checkS3Files(v *ecstypes.S3FilesVolumeConfiguration, path problem.Path, found *problem.List) {
	if v == nil {
		return
	}
	system, access := path.Child("fileSystemArn"), path.Child("accessPointArn")
	if aws.ToString(v.FileSystemArn) == "" {
		found.Add(system, "is missing, want %s", s3FilesARN.what)
	}
	s3FilesARN.check(aws.ToString(v.FileSystemArn), system, found)
	s3AccessPointARN.check(aws.ToString(v.AccessPointArn), access, found)
	if root := aws.ToString(v.RootDirectory); aws.ToString(v.AccessPointArn) != "" && root != "" && root != "/" {
		found.AddWith([]problem.Path{access}, path.Child("rootDirectory"), "is %q, which is not allowed together with %s: the access point has a directory of its own, so leave this out", root, access)
	}
	checkRange(v.TransitEncryptionPort, 0, 65535, path.Child("transitEncryptionPort"), found)
}

// checkVolumesFrom wants each container whose mounts are shared to be another one of the task.
func (s Spec) checkVolumesFrom(found *problem.List) {
	names := mesh.InjectedContainers()
	with := append(s.namePaths(), problem.At("containers"))
	for _, c := range s.Containers {
		names = append(names, aws.ToString(c.Definition.Name))
	}
	for i, c := range s.Containers {
		for j, from := range c.Definition.VolumesFrom {
			at, source := problem.At("containers", i, "volumesFrom", j, "sourceContainer"), aws.ToString(from.SourceContainer)
			switch {
			case source == aws.ToString(c.Definition.Name):
				found.AddWith(with, at, "is %q, the container itself: want another one", source)
			case !slices.Contains(names, source):
				found.AddWith(with, at, "is %q, which is no container of the task", source)
			}
		}
	}
}
