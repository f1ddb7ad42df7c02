package awsapi

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TagMap is ECS's list of tags by their keys.
func TagMap(tags []ecstypes.Tag) map[string]string {
	all := map[string]string{}
	for _, tag := range tags {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return all
}

// TagList is tags as ECS takes them, in the order of their keys.
func TagList(tags map[string]string) []ecstypes.Tag {
	var list []ecstypes.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ecstypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}
