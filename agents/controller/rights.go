package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// loginTries is how often a login is tried that Consul is not prepared for, which takes about half a minute: a server may lag
// behind the one that was told, and bootstrap may be under way.
const loginTries = 10

// rights is how the controller gets at Consul, and what it looks after there. There are three ways: by a token that it is
// given, by its IAM role with a token for the first start alone, and by its IAM role where consulecs-agent bootstrap has
// prepared Consul.
type rights struct {
	settings   consul.Settings
	want       acl.Wanted // with the controller's own identity on the second way
	managesACL bool       // else somebody else prepares Consul, and tokens end by themselves
	firstToken string     // Secrets Manager secret; "" for none
	aws        aws.Config
}

// rightsOf reads the rights from the configuration. It asks AWS who the controller is where that has to be written down.
func rightsOf(ctx context.Context, cfg agentconfig.Config, task taskmeta.Task, awsConfig aws.Config, getenv func(string) string) (rights, error) {
	settings, err := consul.SettingsOf(cfg, task, getenv)
	if err != nil {
		return rights{}, err
	}
	controller := cfg.ControllerSettings()
	r := rights{settings: settings, managesACL: *controller.ManageACL, aws: awsConfig}
	if r.want, err = consul.WantedOf(ctx, controller, task.Partition, task.AccountID, task.Region); err != nil {
		return rights{}, err
	}
	r.settings.Scope.Partition, r.settings.MaxWritesPerSecond = r.want.Partition, *controller.MaxWritesPerSecond
	if r.settings.Login == nil {
		return r, nil
	}
	r.firstToken = controller.FirstTokenSecretARN
	r.settings.Login = asController(*r.settings.Login, cfg)
	r.settings.Login.Partition = r.want.Partition
	if r.firstToken == "" || !r.managesACL {
		return r, nil
	}
	role, err := r.settings.Login.Role(ctx)
	if err != nil {
		return rights{}, err
	}
	r.want.Controller = &acl.Controller{
		Method: r.settings.Login.Method, Role: role, WritesACL: true,
		ECSClusters: ecsClusters(task, controller),
	}
	return r, nil
}

// asController is the login of a controller. The auth method of controllers does not ask IAM for the role, so that the role
// needs no right to read itself.
func asController(login consul.Login, cfg agentconfig.Config) *consul.Login {
	if cfg.ConsulLogin.Method == "" {
		login.Method = acl.ControllerMethod
	}
	if cfg.ConsulLogin.IncludeEntity == nil {
		login.IncludeEntity = false
	}
	return &login
}

// connect gets the controller to Consul. The first token is read only where Consul is not prepared for the login, and kept
// no longer than it takes to prepare it.
func (r rights) connect(ctx context.Context, log hclog.Logger) (*consul.Connection, error) {
	switch {
	case r.settings.Login == nil:
		return consul.Connect(ctx, r.settings, log)
	case r.want.Controller == nil:
		conn, err := r.logIn(ctx, log, loginTries)
		return conn, explain(err)
	}
	conn, err := r.logIn(ctx, log, 1)
	if !errors.Is(err, consul.ErrUnprepared) {
		return conn, err
	}
	log.Info("login refused, Consul is prepared by the first token", "auth_method", r.settings.Login.Method, "secret", r.firstToken)
	if err := r.prepareFirst(ctx, log); err != nil {
		return nil, fmt.Errorf("prepare Consul by the token in secret %s: %w", r.firstToken, err)
	}
	return r.logIn(ctx, log, loginTries)
}

// logIn logs in by the IAM role, at once or never where Consul is not prepared for it and there is one try.
func (r rights) logIn(ctx context.Context, log hclog.Logger, tries int) (conn *consul.Connection, err error) {
	err = consul.Retry(ctx, log, "log in as the controller", func(ctx context.Context) error {
		conn, err = consul.Attempt(ctx, r.settings, log)
		var refusal *consul.Refusal
		if errors.Is(err, consul.ErrUnprepared) && errors.As(err, &refusal) {
			return &consul.Refusal{Err: refusal.Err, Hint: refusal.Hint, Tries: tries}
		}
		return err
	})
	return conn, err
}

// prepareFirst prepares Consul, the controller's own identity included, by the first token.
func (r rights) prepareFirst(ctx context.Context, log hclog.Logger) error {
	settings := r.settings
	settings.Login = nil
	var err error
	if settings.Token, err = readSecret(ctx, awsapi.SecretsManager(r.aws), r.firstToken); err != nil {
		return err
	}
	conn, err := consul.Connect(ctx, settings, log)
	if err != nil {
		return err
	}
	err = consul.Retry(ctx, log, "prepare Consul for tasks", func(ctx context.Context) error {
		changes, err := conn.EnsureACL(ctx, r.want)
		tell(log, changes, map[acl.Change]bool{})
		return err
	})
	return errors.Join(err, conn.Close())
}

// ensure brings Consul's ACLs to what tasks need, where that is the controller's to do. Where it gave itself a right, as over
// one more ECS cluster, it logs in again to have it.
func (r rights) ensure(ctx context.Context, conn *consul.Connection) ([]acl.Change, error) {
	if !r.managesACL {
		return nil, nil
	}
	changes, err := conn.EnsureACL(ctx, r.want)
	if err == nil && r.want.Controller != nil && slices.ContainsFunc(changes, r.isOwnRight) {
		err = conn.LogInAgain(ctx)
	}
	return changes, err
}

// isOwnRight reports whether a change bound the controller to an ACL role.
func (r rights) isOwnRight(change acl.Change) bool {
	return change.Verb == acl.Created && slices.ContainsFunc(r.want.Controller.ECSClusters, func(arn string) bool { return change.Name == acl.ControllerName(arn) })
}

// explain says who prepares Consul where the controller does not.
func explain(err error) error {
	var refusal *consul.Refusal
	if !errors.Is(err, consul.ErrUnprepared) || !errors.As(err, &refusal) {
		return err
	}
	return fmt.Errorf("%w\nhint: run consulecs-agent bootstrap with the ECS cluster and the IAM role of the controller, which prepares Consul for it", refusal.Err)
}

// readSecret reads the token out of a secret, which is named as in a task definition: an ARN, or one followed by the key of
// a JSON document, a version stage and a version ID.
func readSecret(ctx context.Context, client *secretsmanager.Client, name string) (string, error) {
	parts := strings.Split(name, ":")
	for len(parts) < 10 {
		parts = append(parts, "")
	}
	arn, key, stage, version := strings.Trim(strings.Join(parts[:7], ":"), ":"), parts[7], parts[8], parts[9]
	input := &secretsmanager.GetSecretValueInput{SecretId: &arn}
	if stage != "" {
		input.VersionStage = &stage
	}
	if version != "" {
		input.VersionId = &version
	}
	out, err := client.GetSecretValue(ctx, input)
	switch {
	case awsapi.IsAccessDenied(err):
		return "", fmt.Errorf("read the secret: %w\nhint: the controller's task role lacks secretsmanager:GetSecretValue on it", err)
	case err != nil:
		return "", fmt.Errorf("read the secret: %w", err)
	}
	token := aws.ToString(out.SecretString)
	if key != "" {
		if token, err = jsonKey(token, key); err != nil {
			return "", err
		}
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", errors.New("read the secret: it is empty")
	}
	return token, nil
}

// jsonKey is the text under a key of a JSON object. Its errors do not quote the document.
func jsonKey(document, key string) (string, error) {
	var values map[string]any
	if json.Unmarshal([]byte(document), &values) != nil {
		return "", errors.New("read the secret: it is no JSON object")
	}
	text, ok := values[key].(string)
	if !ok {
		return "", fmt.Errorf("read the secret: it has no text under the key %s", key)
	}
	return text, nil
}

// tell logs what was written, and once what differs from ours and was kept. It reports whether anything was written.
func tell(log hclog.Logger, changes []acl.Change, said map[acl.Change]bool) (wrote bool) {
	for _, change := range changes {
		facts := []any{"kind", change.Kind, "name", change.Name}
		switch {
		case change.Verb != acl.Kept:
			log.Info("ACL object written", append(facts, "verb", change.Verb)...)
			wrote = true
		case !said[change]:
			log.Info("ACL object differs from ours and was kept", append(facts, "what", change.What)...)
			said[change] = true
		}
	}
	return wrote
}
