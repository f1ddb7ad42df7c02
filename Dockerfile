# The one image that all agents run from. make setup builds it as consulecs-agent:local.
#
# BASE brings what the agents call: Envoy as /usr/local/bin/envoy, iptables, and the root certificates. The local one is
# unpacked from Debian packages and an Envoy binary; a release names one that is built on Envoy's official image.
ARG BASE=consulecs-base:local
FROM ${BASE}

# The task's shared volume takes its owner and mode from here, where Docker or Fargate makes it: any agent may write
# a file there, and none may remove another's.
COPY bin/volume /
VOLUME ["/consul"]

COPY bin/consulecs-agent /bin/consulecs-agent

# The names by which the incumbent's task definitions call its own program, the official dataplane's and go-discover's:
# links to ours.
COPY bin/links/ /bin/
COPY bin/links/ /usr/local/bin/

# A task definition names the user of each container; one that does not gets the least of them.
USER 5996:5996
ENTRYPOINT ["/bin/consulecs-agent"]
