# The one image that all agents run from, for linux/amd64 and linux/arm64. GoReleaser builds it for a release, make image for this
# machine. The context holds LICENSE, the licence texts, and consulecs-agent in a folder that is named after its platform.
#
# ENVOY is Envoy's official image, or a mirror's copy of it. Its version is the one that the tests run.
ARG ENVOY=docker.io/envoyproxy/envoy:v1.38.3
FROM ${ENVOY}

USER root
# iptables redirects traffic, netbase has the protocols' names for it, and certificates are checked against ca-certificates.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates iptables netbase \
 && rm -rf /var/lib/apt/lists/*

# The task's shared volume takes its owner and mode from /consul, where Docker or Fargate makes it: any agent may write a file there,
# and none may remove another's. The links are the names by which the incumbent's task definitions call its own program, the official
# dataplane's and go-discover's: links to ours.
RUN install -d -m 1777 /consul \
 && for name in consul-ecs consul-dataplane discover; do \
      ln -sf /bin/consulecs-agent /bin/$name && ln -sf /bin/consulecs-agent /usr/local/bin/$name; \
    done

COPY LICENSE bin/licences/consulecs-agent.txt /licenses/

# From here on make setup builds the same, on a base of Debian packages and an Envoy binary: see internal/testenv/toolcache/images.go.
ARG TARGETPLATFORM
COPY ${TARGETPLATFORM}/consulecs-agent /bin/consulecs-agent
VOLUME ["/consul"]

# A task definition names the user of each container; one that does not gets the least of them.
USER 5996:5996
ENTRYPOINT ["/bin/consulecs-agent"]
