ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN groupadd -r -g 999 redis && useradd -r -u 999 -g redis -d /data redis \
 && apt-get update -q && apt-get install -y -q --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \
 && install -d -o redis -g redis /data
COPY redis.entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN chmod 755 /usr/local/bin/docker-entrypoint.sh
VOLUME /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
