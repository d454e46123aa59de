# The official image has busybox (with wget) and no bash.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -q && apt-get install -y -q --no-install-recommends prometheus-node-exporter busybox \
 && rm -rf /var/lib/apt/lists/* && ln -s /usr/bin/busybox /usr/bin/wget \
 && ln -s /usr/bin/prometheus-node-exporter /bin/node_exporter && rm /bin/bash
USER nobody
EXPOSE 9100
ENTRYPOINT ["/bin/node_exporter"]
