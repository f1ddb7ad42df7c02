package taskdef_test

import (
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// TestGoldensRegister asks others whether ECS would take what Build makes: moto, which is not ours, and localecs, which
// checks more of what ECS documents.
func TestGoldensRegister(t *testing.T) {
	t.Parallel()
	moto := testenv.MotoDuring(t)
	client := ecs.New(ecs.Options{Region: "us-east-1", BaseEndpoint: &moto.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := build(t, dir)
			if _, err := definition.Complete(want); err != nil {
				t.Errorf("localecs: %v", err)
			}
			out, err := client.RegisterTaskDefinition(t.Context(), want)
			if err != nil {
				t.Fatalf("moto: %v", err)
			}
			if got := len(out.TaskDefinition.ContainerDefinitions); got != len(want.ContainerDefinitions) {
				t.Errorf("moto registered %d containers, want %d", got, len(want.ContainerDefinitions))
			}
		})
	}
}
