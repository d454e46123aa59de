ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN useradd -u 12345 -m k6 && rm /bin/bash
COPY k6 /usr/bin/k6
USER k6
WORKDIR /home/k6
ENTRYPOINT ["k6"]
