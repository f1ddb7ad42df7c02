package attachment

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// TagList is tags as ECS takes them, in the order of their keys.
func TagList(tags map[string]string) []ecstypes.Tag {
	var list []ecstypes.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ecstypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

// TagMap is tags as users write them; nil of none.
func TagMap(tags []ecstypes.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	return awsapi.TagMap(tags)
}
