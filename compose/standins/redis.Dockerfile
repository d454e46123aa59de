# Like the official image: account `redis` with number 999, the programs in /usr/local/bin.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN groupadd -r -g 999 redis && useradd -r -u 999 -g redis -d /home/redis -s /bin/false redis \
 && apt-get update -q && apt-get install -y -q --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \
 && ln -s /usr/bin/redis-server /usr/local/bin/redis-server && install -d -o redis -g redis /data
WORKDIR /data
EXPOSE 6379
CMD ["redis-server"]
