# The official image has busybox (with wget) and no bash.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -q && apt-get install -y -q --no-install-recommends prometheus busybox \
 && rm -rf /var/lib/apt/lists/* && ln -s /usr/bin/busybox /usr/bin/wget \
 && install -d -o nobody -g nogroup /prometheus /etc/prometheus && rm /bin/bash
USER nobody
EXPOSE 9090
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
