package provider

// consulServersAttributes is the way to Consul's servers, as the provider and every resource take it.
func consulServersAttributes() attributes {
	port := func(name, defaultPort string) attributes {
		return attributes{
			"port":        nonzero("Port. Default " + defaultPort + "."),
			"tls":         flag("TLS at this port. Default: `tls.enabled`."),
			"server_name": text("Name to verify the certificate of the " + name + " port by. Default: `tls.server_name`."),
			"ca_file":     text("File in the injected containers with the CA's PEM text for the " + name + " port. Default: `tls.ca_file`."),
		}
	}
	return attributes{
		"hosts":             text("Where the servers are, without a port: IP addresses and DNS names with commas between them, `provider=aws tag_key=… tag_value=…` to find EC2 instances by a tag (the task role then needs `ec2:DescribeInstances`), or `exec=` and a command that prints addresses. Several, or found by tag, they need `tls.server_name`."),
		"skip_server_watch": flag("Do not follow the servers' own list of addresses: set it where a load balancer stands before them. Default `false`."),
		"tls": object("TLS to the servers.", attributes{
			"enabled":             flag("TLS at both ports. Default `true`."),
			"server_name":         text("Name to verify the servers' certificates by, such as `server.dc1.consul`. Default: the host."),
			"ca_secret_arn":       text("ARN of the Secrets Manager secret with the CA's PEM text. Default: the system's roots.", secretARN()),
			"grpc_ca_secret_arn":  text("The same for the gRPC port alone.", secretARN()),
			"https_ca_secret_arn": text("The same for the HTTPS port alone.", secretARN()),
			"ca_file":             text("File in the injected containers with the CA's PEM text. The secrets win."),
		}),
		"http": object("The HTTP API.", port("HTTP", "8501, or 8500 without TLS")),
		"grpc": object("The gRPC port: discovery of servers, logins, xDS.", port("gRPC", "8503, or 8502 without TLS")),
	}
}

// loginAttributes is the login of the agents, as the provider and every resource take it.
func loginAttributes() attributes {
	return attributes{
		"enabled":          flag("Log in to Consul: set it where Consul's ACLs are on. Default `false`."),
		"auth_method":      text("Name of Consul's aws-iam auth method. Default `iam-ecs-service-token`, which the controller keeps."),
		"datacenter":       text("Datacenter to log in to. Default: the servers'."),
		"include_entity":   flag("Send the role's tags along, which the binding rule reads. Default `true`."),
		"meta":             textMap("Metadata of the token."),
		"region":           text("Region of the STS endpoint that the login is signed for. Default: the task's."),
		"sts_endpoint":     text("URL of STS that the login is signed for. Default: the region's.", endpointURL{}),
		"iam_endpoint":     text("URL of IAM that the role's tags are read at. Default: AWS's.", endpointURL{}),
		"server_id_header": text("Value of the header `X-Consul-IAM-ServerID` that binds a login to these servers, where the auth method asks for one."),
	}
}
