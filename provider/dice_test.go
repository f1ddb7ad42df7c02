package provider_test

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// dice throw configurations.
type dice struct{ *rand.Rand }

func (d dice) oneIn(n int) bool { return d.IntN(n) == 0 }

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

// inJSON is a configuration in Terraform's JSON syntax.
func inJSON(v any) any {
	switch v := v.(type) {
	case fields:
		all, dynamic := fields{}, fields{}
		for key, element := range v {
			if blocks, ok := element.(unknownBlocks); ok {
				dynamic[key] = fields{"for_each": laterOf("list"), "content": inJSON(blocks.content)}
			} else {
				all[key] = inJSON(element)
			}
		}
		if len(dynamic) > 0 {
			all["dynamic"] = dynamic
		}
		return all
	case []any:
		all := []any{}
		for _, element := range v {
			all = append(all, inJSON(element))
		}
		return all
	case unknown:
		return laterOf(v.kind)
	case string:
		return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(v)
	case *big.Float:
		return json.Number(v.Text('f', -1))
	default:
		return v
	}
}

// laterValues are of each kind that values of attributes have, for terraform_data.later: what it hands on is known after the apply.
var laterValues = fields{"text": "x", "number": 1, "flag": true, "list": []any{"x"}, "map": fields{"a": "x"}}

func laterOf(kind string) string { return "${terraform_data.later.output." + kind + "}" }

func kindOf(typ tftypes.Type) string {
	switch {
	case typ.Is(tftypes.String):
		return "text"
	case typ.Is(tftypes.Number):
		return "number"
	case typ.Is(tftypes.Bool):
		return "flag"
	case typ.Is(tftypes.Map{}):
		return "map"
	default:
		return "list"
	}
}

// vary is base with its attributes and blocks thrown anew at a rate, 0 to 1.
func (d dice) vary(schema *tfprotov6.SchemaBlock, base fields, rate float64) fields {
	all := fields{}
	for _, a := range schema.Attributes {
		switch {
		case a.Computed && !a.Optional:
		case d.Float64() >= rate:
			all[a.Name] = base[a.Name]
		case a.Required || d.oneIn(3) || rate < 1:
			all[a.Name] = d.value(a, a.Type)
		}
	}
	for _, nested := range schema.BlockTypes {
		all[nested.TypeName] = d.varyBlocks(nested, base[nested.TypeName], rate)
	}
	return with(fields{}, all)
}

func (d dice) varyBlocks(nested *tfprotov6.SchemaNestedBlock, base any, rate float64) any {
	switch b := base.(type) {
	case fields:
		if d.Float64() >= rate {
			return d.vary(nested.Block, b, rate)
		}
	case []any:
		if d.Float64() >= rate {
			varied := []any{}
			for _, one := range b {
				varied = append(varied, d.vary(nested.Block, one.(fields), rate))
			}
			return varied
		}
	default: // none
		if d.Float64() >= rate {
			return nil
		}
	}
	switch {
	case d.oneIn(10):
		return unknownBlocks{d.vary(nested.Block, nil, 1)}
	case d.oneIn(2):
		return nil
	case nested.Nesting == tfprotov6.SchemaNestedBlockNestingModeSingle:
		return d.vary(nested.Block, nil, 1)
	}
	thrown := []any{}
	for range 1 + d.IntN(3) {
		thrown = append(thrown, d.vary(nested.Block, nil, 1))
	}
	return thrown
}

// value is one for an attribute, or for an element of it.
func (d dice) value(a *tfprotov6.SchemaAttribute, typ tftypes.Type) any {
	if d.oneIn(12) {
		return unknown{kindOf(typ)}
	}
	switch typ := typ.(type) {
	case tftypes.List:
		return d.values(a, typ.ElementType)
	case tftypes.Set:
		return slices.CompactFunc(d.values(a, typ.ElementType), func(x, y any) bool { return x == y })
	case tftypes.Map:
		all := fields{}
		for range d.IntN(4) {
			all[pick(d, keys)] = d.element(a, typ.ElementType)
		}
		return all
	}
	switch {
	case typ.Is(tftypes.Bool):
		return d.oneIn(2)
	case typ.Is(tftypes.Number):
		return d.number()
	default:
		return d.text(a)
	}
}

func (d dice) values(a *tfprotov6.SchemaAttribute, typ tftypes.Type) []any {
	all := []any{}
	for range d.IntN(4) {
		all = append(all, d.element(a, typ))
	}
	return all
}

func (d dice) element(a *tfprotov6.SchemaAttribute, typ tftypes.Type) any {
	if d.oneIn(15) {
		return nil
	}
	return d.value(a, typ)
}

var keys = []string{"a", "A", "NAME", "a.b", "with blank", "", "ä", "日本", "consul.hashicorp.com/mesh", "awslogs-group", "CONSUL_ECS_CONFIG_JSON", "Name", "aws:x", strings.Repeat("k", 200)}

var numbers = []float64{0, 1, 2, 3, 5, 10, 30, 60, 80, 100, 128, 256, 512, 1024, 2048, 4096, 8080, 20000, 65535, 65536, -1, -8080, 1<<31 - 1, 1 << 31, -1 << 31, 1 << 53, 1e30, 0.5, -1e-9}

func (d dice) number() *big.Float { return big.NewFloat(pick(d, numbers)) }

// quoted are the values that descriptions name.
var quoted = regexp.MustCompile("`([^`]+)`")

var texts = []string{
	"", " ", "a", "web", "Web_1", "a.b", "-", "ä", "日本語", "💥", "a\nb", "\t", "\u200b", "100%d", "%s%v", "${x}", `"`, `\`, "null", "true", "0", "-1", "1e400", strings.Repeat("x", 300), strings.Repeat("é", 1000),
	"app:1", "app:1 ", "app@sha256:x", "5s", "-5s", "1h", "10", "/", "/a/b/", "a/b", "10.0.0.0/8", "::1", "localhost", "127.0.0.1", "http", "tcp", "{}", `{"a":1}`, `{"a":null}`, "[]", "{", "on", "EC2", "FARGATE",
	"https://example.com", "http://", "://", "ftp://x", "s3://b/k", "subnet-1", "exec=discover", "8000-8010", "8010-8000", "1-70000", "*", "ALL",
	`[]`, `[null]`, `[{"name":"extra","image":"extra:1"}]`, `[{"name":"app","image":7,"cpu":"1","dependsOn":[{"containerName":"x"}]}]`,
	`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}`, `{"Statement":{"Effect":"Maybe"}}`,
}

var arns = []string{
	"arn:aws:secretsmanager:us-east-1:123456789012:secret:x", "arn:aws:secretsmanager:us-east-1:123456789012:secret:x:a:b:c:d", "arn:aws:ssm:us-east-1:123456789012:parameter/x", "arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/",
	"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:kms:us-east-1:123456789012:key/1", "arn:aws:s3:::b/k", "arn:aws:s3:::", "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/x", "arn:aws:ecs:us-east-1:123456789012:cluster/x",
	"arn:", "arn:aws", "arn:aws:::::", "arn:aws:iam::1:role/x", "ARN:AWS:IAM::123456789012:ROLE/X", "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1", "arn:aws:iam::123456789012:role/a b", "::::::",
}

// text is one that the description names, an ARN, or any.
func (d dice) text(a *tfprotov6.SchemaAttribute) string {
	named := quoted.FindAllStringSubmatch(a.Description, -1)
	switch {
	case len(named) > 0 && d.oneIn(2):
		return pick(d, named)[1]
	case strings.Contains(a.Name, "arn") && !d.oneIn(3):
		return pick(d, arns)
	case d.oneIn(20):
		return pick(d, arns)
	default:
		return pick(d, texts)
	}
}
