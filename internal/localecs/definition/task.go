package definition

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var (
	// namePattern is the rule for families, containers and volumes.
	namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	rolePattern = regexp.MustCompile(`^(arn:aws[a-z-]*:iam::\d{12}:role/([\x21-\x7e]{1,510}/)?)?[\w+=,.@-]{1,64}$`)
	sizePattern = regexp.MustCompile(`^(\d+)$|^(\d*\.?\d+) ?([A-Za-z]+)$`)
	tagPattern  = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

// unit is a way to write a task's cpu or memory other than in whole ECS units.
type unit struct {
	setting, word string
	each          float64
}

var (
	vCPU     = unit{"cpu", "vcpu", 1024}
	gigabyte = unit{"memory", "gb", 1024}
)

// units turns a size such as "1 vCPU" or "2GB" into ECS's units, as registration does.
func units(size *string, u unit) (*string, error) {
	if size == nil {
		return nil, nil
	}
	m := sizePattern.FindStringSubmatch(*size)
	if m != nil && m[1] != "" {
		return size, nil
	}
	if m == nil || strings.ToLower(m[3]) != u.word {
		return nil, invalid("Invalid '%s' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.", u.setting)
	}
	f, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return nil, invalid("Invalid '%s' setting for task: %s", u.setting, *size)
	}
	return aws.String(strconv.Itoa(int(f * u.each))), nil
}

func checkTask(def *ecstypes.TaskDefinition) error {
	family := aws.ToString(def.Family)
	switch {
	case family == "":
		return invalid("Family should not be null or empty.")
	case !namePattern.MatchString(family):
		return invalid("Family contains invalid characters.")
	case !known(def.NetworkMode):
		return invalid("Invalid networkMode '%s'. Valid values are %s.", def.NetworkMode, words(def.NetworkMode))
	case !known(def.PidMode):
		return invalid("Invalid pidMode '%s'. Valid values are %s.", def.PidMode, words(def.PidMode))
	case !known(def.IpcMode):
		return invalid("Invalid ipcMode '%s'. Valid values are %s.", def.IpcMode, words(def.IpcMode))
	case !validRole(def.TaskRoleArn), !validRole(def.ExecutionRoleArn):
		return invalid("Role is not valid")
	case len(def.PlacementConstraints) > 10:
		return invalid("Too many placement constraints: at most 10 can be set in a task definition.")
	}
	for _, c := range def.RequiresCompatibilities {
		if c == "" || !known(c) {
			return invalid("Invalid requiresCompatibilities value '%s'. Valid values are %s.", c, words(c))
		}
	}
	if p := def.RuntimePlatform; p != nil {
		if !known(p.CpuArchitecture) || !known(p.OperatingSystemFamily) {
			return invalid("Invalid runtimePlatform: cpuArchitecture '%s', operatingSystemFamily '%s'.", p.CpuArchitecture, p.OperatingSystemFamily)
		}
	}
	if e := def.EphemeralStorage; e != nil && (e.SizeInGiB < 21 || e.SizeInGiB > 200) {
		return invalid("Ephemeral storage size must be between 21 and 200 GiB.")
	}
	return checkProxy(def)
}

func checkProxy(def *ecstypes.TaskDefinition) error {
	p := def.ProxyConfiguration
	if p == nil {
		return nil
	}
	if def.NetworkMode != ecstypes.NetworkModeAwsvpc {
		return invalid("proxyConfiguration requires networkMode awsvpc.")
	}
	name := aws.ToString(p.ContainerName)
	if !slices.ContainsFunc(def.ContainerDefinitions, func(c ecstypes.ContainerDefinition) bool { return aws.ToString(c.Name) == name }) {
		return invalid("The proxyConfiguration names container '%s', which is not in the task definition.", name)
	}
	return nil
}

func checkVolumes(def *ecstypes.TaskDefinition) error {
	seen := map[string]bool{}
	atLaunch := 0
	for _, v := range def.Volumes {
		name := aws.ToString(v.Name)
		if !namePattern.MatchString(name) {
			return invalid("Invalid volume name '%s': up to 255 letters, numbers, hyphens and underscores are allowed.", name)
		}
		if seen[name] {
			return invalid("Duplicate volume name '%s'.", name)
		}
		seen[name] = true
		kinds := 0
		for _, set := range []bool{v.Host != nil, v.DockerVolumeConfiguration != nil, v.EfsVolumeConfiguration != nil,
			v.FsxWindowsFileServerVolumeConfiguration != nil, v.S3filesVolumeConfiguration != nil} {
			if set {
				kinds++
			}
		}
		if kinds > 1 || kinds == 1 && v.Host == nil && aws.ToBool(v.ConfiguredAtLaunch) {
			return invalid("Volume '%s' has more than one configuration.", name)
		}
		if aws.ToBool(v.ConfiguredAtLaunch) {
			atLaunch++
		}
		if fault := efsFault(v.EfsVolumeConfiguration); fault != "" {
			return invalid("Invalid setting for volume '%s'. %s", name, fault)
		}
		if fault := s3FilesFault(v.S3filesVolumeConfiguration); fault != "" {
			return invalid("Invalid setting for volume '%s'. %s", name, fault)
		}
	}
	if atLaunch > 1 {
		return invalid("A task definition revision can have only one volume that is configured at launch.")
	}
	return nil
}

func efsFault(e *ecstypes.EFSVolumeConfiguration) string {
	if e == nil {
		return ""
	}
	auth := ecstypes.EFSAuthorizationConfig{}
	if e.AuthorizationConfig != nil {
		auth = *e.AuthorizationConfig
	}
	root, accessPoint := aws.ToString(e.RootDirectory), aws.ToString(auth.AccessPointId) != ""
	encrypted := e.TransitEncryption == ecstypes.EFSTransitEncryptionEnabled
	switch {
	case aws.ToString(e.FileSystemId) == "":
		return "An EFS volume requires a fileSystemId."
	case !known(e.TransitEncryption):
		return "The transitEncryption '" + string(e.TransitEncryption) + "' must be ENABLED or DISABLED."
	case !known(auth.Iam):
		return "The authorizationConfig's iam '" + string(auth.Iam) + "' must be ENABLED or DISABLED."
	case auth.Iam == ecstypes.EFSAuthorizationConfigIAMEnabled && !encrypted:
		return "Transit encryption must be enabled when EFS IAM authorization is used."
	case accessPoint && !encrypted:
		return "Transit encryption must be enabled when an EFS access point is used."
	case accessPoint && root != "" && root != "/":
		return `When using an EFS access point, the root directory must either be set to "/" or be omitted.`
	}
	return ""
}

// CheckTags applies the rules that every ECS resource has for the tags a user may set.
func CheckTags(tags []ecstypes.Tag) error {
	if len(tags) > 50 {
		return badParameter("Too many tags: a resource can have at most 50 tags.")
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128:
			return badParameter("Tag key must be between 1 and 128 characters long: '" + key + "'.")
		case utf8.RuneCountInString(value) > 256:
			return badParameter("The value of tag '" + key + "' is longer than 256 characters.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return badParameter("Specified tag key '" + key + "' is invalid: aws: prefixed tag key names are not allowed for external use.")
		case !tagPattern.MatchString(key) || !tagPattern.MatchString(value):
			return badParameter("Tag '" + key + "' contains characters that are not allowed: letters, numbers, spaces and _ . : / = + - @ are.")
		case seen[key]:
			return badParameter("Duplicate tag key '" + key + "'.")
		}
		seen[key] = true
	}
	return nil
}

func badParameter(message string) error {
	return &ecstypes.InvalidParameterException{Message: &message}
}

func validRole(arn *string) bool { return arn == nil || *arn == "" || rolePattern.MatchString(*arn) }

// known reports whether v is unset or one of the values its type lists.
func known[E interface {
	~string
	Values() []E
}](v E) bool {
	return v == "" || slices.Contains(v.Values(), v)
}

func words[E interface {
	~string
	Values() []E
}](v E) string {
	var out []string
	for _, w := range v.Values() {
		out = append(out, string(w))
	}
	return strings.Join(out, ", ")
}
