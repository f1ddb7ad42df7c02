package meshtask

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
)

// followSwitch asks for the images of foreign revisions.
const followSwitch = "revision_policy.follow_images"

func following() *stack.Following[model] {
	return &stack.Following[model]{
		Switch: followSwitch, Asked: (*model).follows, Containers: (*model).containerNames,
		See: (*model).see, Plan: (*model).planFollowed,
		Keep: func(state, m *model) {
			if m.follows() {
				state.FollowedImages = m.FollowedImages
			}
		},
	}
}

func (m *model) follows() bool {
	return m.RevisionPolicy != nil && row.Value(m.RevisionPolicy.FollowImages)
}

func (m *model) containerNames() []string {
	return slices.Sorted(maps.Keys(m.images()))
}

// see takes the images of a foreign revision over, as far as they differ from the configured ones: who ships one container copies
// the images of the others, which stay the user's to change. What the revision lacks is followed as before. An own revision is
// the newest again with another image than the followed one when the foreign one after it was deregistered, as bad ones are.
func (m *model) see(images map[string]string, foreign bool) {
	followed := map[string]string{}
	maps.Copy(followed, m.FollowedImages)
	for name, image := range images {
		if followed[name] != "" || foreign {
			followed[name] = image
		}
	}
	m.FollowedImages = followed
	m.dropConfigured()
}

// dropConfigured ends the following of containers that are no longer configured, or whose configured image has become the followed
// one: from then on, the user may change it again.
func (m *model) dropConfigured() {
	configured := m.images()
	maps.DeleteFunc(m.FollowedImages, func(name, image string) bool { is, has := configured[name]; return !has || is == image })
}

// planFollowed takes over what the state follows, or, where that was not asked for before, the given images. It returns the
// places whose values the definition still waits for. An image that is followed is the same whatever the configured one will be;
// while it is not known whether to follow, it is not known either.
func (m *model) planFollowed(state *model, images map[string]string, unknown []problem.Path) []problem.Path {
	open := row.Affects(unknown, followSwitch)
	if !m.follows() && !open {
		return unknown
	}
	m.FollowedImages = map[string]string{}
	if row.Value(m.Family) == row.Value(state.Family) {
		maps.Copy(m.FollowedImages, state.FollowedImages)
		if !state.follows() {
			maps.Copy(m.FollowedImages, images)
		}
	}
	if !slices.ContainsFunc(unknown, identifiesContainer) {
		m.dropConfigured()
	}
	if !open {
		return slices.DeleteFunc(slices.Clone(unknown), m.isFollowedImage)
	}
	for i, c := range m.Containers {
		if place := problem.At("container", i, "image"); c.Name != nil && m.isFollowedImage(place) {
			unknown = append(slices.Clip(unknown), place)
		}
	}
	described, _ := m.described()
	if slices.ContainsFunc(described, func(d ecstypes.ContainerDefinition) bool { return m.FollowedImages[aws.ToString(d.Name)] != "" }) {
		unknown = append(slices.Clip(unknown), problem.At(attributeJSON))
	}
	return unknown
}

// followedOpen reports whether it depends on an unknown place which images are followed.
func (m *model) followedOpen(unknown []problem.Path) bool {
	return row.Affects(unknown, followSwitch) ||
		len(m.FollowedImages) > 0 && slices.ContainsFunc(unknown, func(place problem.Path) bool { return identifiesContainer(place) || m.isFollowedImage(place) })
}

// isFollowedImage reports whether a place is the image of a container whose image is followed.
func (m *model) isFollowedImage(place problem.Path) bool {
	l, ok := m.local(place)
	return ok && len(place) == 3 && place[0] == "container" && place[2] == "image" && m.FollowedImages[l.Containers[0]] != ""
}

// identifiesContainer reports whether a place decides which containers there are.
func identifiesContainer(place problem.Path) bool {
	return place[0] == attributeJSON || place[0] == "container" && (len(place) < 3 || place[2] == "name")
}
