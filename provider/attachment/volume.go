package attachment

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Volume configures a volume that the task definition leaves to the service.
type Volume struct {
	Name             *string `tfsdk:"name"`
	ManagedEBSVolume *EBS    `tfsdk:"managed_ebs_volume"`
}

// EBS is a volume of EBS that each task gets for itself.
type EBS struct {
	RoleArn                  *string   `tfsdk:"role_arn"`
	SizeInGiB                *int32    `tfsdk:"size_in_gib"`
	SnapshotId               *string   `tfsdk:"snapshot_id"`
	VolumeInitializationRate *int32    `tfsdk:"volume_initialization_rate"`
	VolumeType               *string   `tfsdk:"volume_type"`
	FilesystemType           *string   `tfsdk:"filesystem_type"`
	Iops                     *int32    `tfsdk:"iops"`
	Throughput               *int32    `tfsdk:"throughput"`
	Encrypted                *bool     `tfsdk:"encrypted"`
	KmsKeyId                 *string   `tfsdk:"kms_key_id"`
	TagSpecifications        []EBSTags `tfsdk:"tag_specification"`
}

// EBSTags are tags of the volumes. Their list of the SDK's type is written by hand: row knows pairs of names, not of keys.
type EBSTags struct {
	ResourceType  *string           `tfsdk:"resource_type"`
	PropagateTags *string           `tfsdk:"propagate_tags"`
	Tags          map[string]string `tfsdk:"tags" spec:"-"`
}

// volumeKind is what EBS allows of a type of volume: sizes in GiB, IOPS (none: 0), and whether they have to be said.
type volumeKind struct {
	smallest, largest int32
	least, most       int32
	asks, throughput  bool
}

const defaultVolumeType = "gp3"

var volumeKinds = map[string]volumeKind{
	"gp2": {smallest: 1, largest: 16384}, "gp3": {smallest: 1, largest: 16384, least: 3000, most: 16000, throughput: true},
	"io1": {smallest: 4, largest: 16384, least: 100, most: 64000, asks: true}, "io2": {smallest: 4, largest: 16384, least: 100, most: 256000, asks: true},
	"st1": {smallest: 125, largest: 16384}, "sc1": {smallest: 125, largest: 16384}, "standard": {smallest: 1, largest: 1024},
}

// VolumeRow is the schema of a volume.
func VolumeRow() schema.ListNestedBlock {
	return row.Objects("Volumes that `task.volume.configured_at_launch` leaves to the service: one of each, new for each task.", row.Fields{
		"name": row.RequiredText("Name of the volume."),
		"managed_ebs_volume": row.Object("Volume of EBS. What is left out is for ECS and EBS to decide, and what they decide does not show.", row.Fields{
			"role_arn":                   row.RequiredText("ARN of the role with which ECS makes the volumes.", row.RoleARN()),
			"size_in_gib":                row.Nonzero("Size in GiB. This or `snapshot_id` has to be set."),
			"snapshot_id":                row.Text("Snapshot that the volumes are made of.", stringvalidator.LengthAtLeast(1)),
			"volume_initialization_rate": row.Nonzero("MiB in a second at which the snapshot is fetched, with `snapshot_id`."),
			"volume_type":                row.Text("`gp2`, `gp3`, `io1`, `io2`, `sc1`, `st1` or `standard`. Default `gp3`.", stringvalidator.OneOf("gp2", "gp3", "io1", "io2", "sc1", "st1", "standard")),
			"filesystem_type":            row.Text("`ext3`, `ext4`, `xfs`, or `ntfs` on Windows. Default `xfs`.", row.OneOf(ecstypes.TaskFilesystemType("").Values()...)),
			"iops":                       row.Nonzero("I/O operations in a second, of `gp3`, `io1` and `io2`. Default of `gp3`: 3000."),
			"throughput":                 row.Number("MiB in a second, of `gp3`: up to 1000.", row.Between(1, 1000)),
			"encrypted":                  row.Flag("Whether the volume is encrypted. Left out: as the account has it."),
			"kms_key_id":                 row.Text("ARN, ID or alias of the KMS key.", stringvalidator.LengthAtLeast(1)),
			"tag_specification": row.Objects("Tags of the volumes, one block at most.", row.Fields{
				"resource_type":  row.RequiredText("`volume`.", row.OneOf(ecstypes.EBSResourceType("").Values()...)),
				"propagate_tags": row.Text("`TASK_DEFINITION`, `SERVICE` or `NONE`: whose tags the volumes get, too. Default `NONE`.", row.OneOf(ecstypes.PropagateTags("").Values()...)),
				"tags":           row.TextMap("Tags of their own."),
			}),
		}),
	})
}

// VolumeConfigurations are the volumes as ECS is asked for them; nil of none.
func VolumeConfigurations(volumes []Volume) []ecstypes.ServiceVolumeConfiguration {
	var all []ecstypes.ServiceVolumeConfiguration
	row.ToSpec(&all, volumes)
	for i, v := range volumes {
		for j, t := range row.Value(v.ManagedEBSVolume).TagSpecifications {
			all[i].ManagedEBSVolume.TagSpecifications[j].Tags = awsapi.TagList(t.Tags)
		}
	}
	return all
}

// RefreshedVolumes takes over what the volumes are. Where the user says nothing of a setting nobody knows what ECS or EBS make of it:
// what they say then is theirs.
func RefreshedVolumes(was []Volume, is []ecstypes.ServiceVolumeConfiguration) []Volume {
	var next []Volume
	row.FromSpec(&next, is)
	for i, v := range is {
		for j := range row.Value(v.ManagedEBSVolume).TagSpecifications {
			next[i].ManagedEBSVolume.TagSpecifications[j].Tags = tagMap(v.ManagedEBSVolume.TagSpecifications[j].Tags)
		}
		if at := slices.IndexFunc(was, func(w Volume) bool { return row.Value(w.Name) == row.Value(next[i].Name) }); at >= 0 {
			next[i].ManagedEBSVolume.keepUnsaid(was[at].ManagedEBSVolume)
		}
	}
	same := func(a, b Volume) bool { return row.SameMeaning(a, b, func(*Volume) {}) }
	if slices.EqualFunc(was, next, same) {
		return was
	}
	return next
}

// keepUnsaid takes out what was does not say.
func (e *EBS) keepUnsaid(was *EBS) {
	if e == nil || was == nil {
		return
	}
	unsaid(&e.SizeInGiB, was.SizeInGiB)
	unsaid(&e.SnapshotId, was.SnapshotId)
	unsaid(&e.VolumeInitializationRate, was.VolumeInitializationRate)
	unsaid(&e.VolumeType, was.VolumeType)
	unsaid(&e.FilesystemType, was.FilesystemType)
	unsaid(&e.Iops, was.Iops)
	unsaid(&e.Throughput, was.Throughput)
	unsaid(&e.Encrypted, was.Encrypted)
	unsaid(&e.KmsKeyId, was.KmsKeyId)
	for i := range min(len(e.TagSpecifications), len(was.TagSpecifications)) {
		unsaid(&e.TagSpecifications[i].PropagateTags, was.TagSpecifications[i].PropagateTags)
	}
	if len(was.TagSpecifications) == 0 {
		e.TagSpecifications = nil
	}
}

func unsaid[T any](is **T, was *T) {
	if was == nil {
		*is = nil
	}
}

// CheckVolumes lists what ECS would refuse: it wants a configuration for each volume that the definition leaves open, and no other.
func CheckVolumes(volumes []Volume, defined []ecstypes.Volume, at problem.Path, found *problem.List) {
	named := map[string]int{}
	var names []problem.Path
	for i, v := range volumes {
		place, name := at.Child("volume_configuration", i), row.Value(v.Name)
		names = append(names, place.Child("name"))
		if first, twice := named[name]; twice {
			other := at.Child("volume_configuration", first, "name")
			found.AddWith([]problem.Path{other}, place.Child("name"), "is %q, as %s is: want one configuration for each volume", name, other)
		}
		named[name] = i
		if !slices.ContainsFunc(defined, func(d ecstypes.Volume) bool { return aws.ToString(d.Name) == name && aws.ToBool(d.ConfiguredAtLaunch) }) {
			found.AddWith([]problem.Path{problem.At("task", "volumes")}, place.Child("name"), "is %q, want the name of a volume with configured_at_launch", name)
		}
		if v.ManagedEBSVolume == nil {
			found.Add(place.Child("managed_ebs_volume"), "is missing: ECS configures volumes of EBS alone")
			continue
		}
		v.ManagedEBSVolume.check(place.Child("managed_ebs_volume"), found)
	}
	for i, d := range defined {
		if _, has := named[aws.ToString(d.Name)]; aws.ToBool(d.ConfiguredAtLaunch) && !has {
			place := problem.At("task", "volumes", i)
			configurations := at.Child("volume_configuration")
			found.AddWith(append(names, configurations, place.Child("name")), place.Child("configuredAtLaunch"), "has no configuration in %s: add one of the name %q", configurations, aws.ToString(d.Name))
		}
	}
}

func (e EBS) check(at problem.Path, found *problem.List) {
	kind, typ := row.Value(e.VolumeType), at.Child("volume_type")
	if kind == "" {
		kind = defaultVolumeType
	}
	size, snapshot, iops := at.Child("size_in_gib"), at.Child("snapshot_id"), at.Child("iops")
	if e.SizeInGiB == nil && e.SnapshotId == nil {
		found.AddWith([]problem.Path{snapshot}, size, "is missing: want a size, or %s", snapshot)
	}
	if e.VolumeInitializationRate != nil && e.SnapshotId == nil {
		found.AddWith([]problem.Path{snapshot}, at.Child("volume_initialization_rate"), "is not allowed without %s: nothing is fetched", snapshot)
	}
	if len(e.TagSpecifications) > 1 {
		found.Add(at.Child("tag_specification"), "has %d blocks, want one at most: ECS tags volumes alone", len(e.TagSpecifications))
	}
	of, known := volumeKinds[kind]
	if !known {
		return // reported by the schema
	}
	if n := e.SizeInGiB; n != nil && (*n < of.smallest || *n > of.largest) {
		found.AddWith([]problem.Path{typ}, size, "is %d, want %d to %d of %s %s", *n, of.smallest, of.largest, typ, kind)
	}
	switch {
	case e.Iops == nil && of.asks:
		found.AddWith([]problem.Path{typ}, iops, "is missing: want it with %s %s", typ, kind)
	case e.Iops != nil && of.most == 0:
		found.AddWith([]problem.Path{typ}, iops, "is not allowed together with %s %s: only gp3, io1 and io2 have it", typ, kind)
	case e.Iops != nil && (*e.Iops < of.least || *e.Iops > of.most):
		found.AddWith([]problem.Path{typ}, iops, "is %d, want %d to %d of %s %s", *e.Iops, of.least, of.most, typ, kind)
	}
	if e.Throughput != nil && !of.throughput {
		found.AddWith([]problem.Path{typ}, at.Child("throughput"), "is not allowed together with %s %s: only gp3 has it", typ, kind)
	}
}

// tagMap is tags as users write them; nil of none.
func tagMap(tags []ecstypes.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	return awsapi.TagMap(tags)
}
