# Debian's interpreter where the official image has its own: /usr/local/bin/python, with pip, without compilers.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -q && apt-get install -y -q --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* && python3 -m venv /usr/local
ENV LANG=C.UTF-8
CMD ["python3"]
