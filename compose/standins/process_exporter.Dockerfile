# Like the official image: the program (here with its libraries), and nothing else.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE} AS packages
RUN apt-get update -q && apt-get install -y -q --no-install-recommends prometheus-process-exporter \
 && install -D /usr/bin/prometheus-process-exporter /out/bin/process-exporter \
 && ldd /out/bin/process-exporter | grep -o '/[^ ]*' | xargs -I {} cp --parents -L {} /out

FROM scratch
COPY --from=packages /out /
EXPOSE 9256
ENTRYPOINT ["/bin/process-exporter"]
