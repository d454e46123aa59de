# Like the official image: account `postgres` with number 70, no bash. It also writes a configuration from
# DATABASE_URL; we always bring the file.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN groupadd -r -g 70 postgres && useradd -r -u 70 -g postgres -d /nonexistent -s /bin/false postgres \
 && apt-get update -q && apt-get install -y -q --no-install-recommends pgbouncer && rm -rf /var/lib/apt/lists/* \
 && ln -sf /usr/sbin/pgbouncer /usr/bin/pgbouncer && chown -R postgres: /etc/pgbouncer && rm /etc/pgbouncer/* \
 && rm /bin/bash
USER postgres
EXPOSE 5432
CMD ["/usr/bin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
