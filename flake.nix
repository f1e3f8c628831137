{
  description = "A complete local Kubernetes environment with one command";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      inherit (nixpkgs) lib;

      eachSystem =
        outputsOf:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
          "x86_64-darwin"
          "aarch64-darwin"
        ] (system: outputsOf nixpkgs.legacyPackages.${system});

      # A test compares it with lib/tools/manifest.yaml.
      tools = lib.attrValues (lib.importJSON ./lib/tools/nixpkgs.json);

      packagesOf =
        pkgs:
        let
          # The tasks would not use an older version: `install-tools` gets the pinned one.
          suitable = lib.filter (tool: lib.versionAtLeast pkgs.${tool.package}.version tool.minimum) tools;

          # `only`: the one program to take, where the package has others, such as minikube's own kubectl.
          take =
            { package, only ? null, ... }:
            if only == null then
              pkgs.${package}
            else
              pkgs.linkFarm only {
                "bin/${only}" = lib.getExe' pkgs.${package} only;
              };
        in
        lib.unique (map take suitable)
        ++ [
          pkgs.bash
          pkgs.git
          pkgs.nodejs
        ]
        ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux [
          pkgs.procps
          pkgs.util-linux
        ];
    in
    {
      devShells = eachSystem (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = packagesOf pkgs;
          # Nix sets a new folder for each shell. The cluster outlives the shell, and locks are for all shells.
          shellHook = "unset TMPDIR TMP TEMP TEMPDIR";
        };
      });

      apps = eachSystem (pkgs: {
        create-environment = {
          type = "app";
          program = lib.getExe (
            pkgs.writeShellApplication {
              name = "create-environment";
              runtimeInputs = packagesOf pkgs;
              text = ''
                if ! [ -x run ] || ! [ -f tasks.ts ]; then
                  printf '%s\n' "error: $PWD is no clone of the project" \
                    '  why: an environment keeps its state in the clone' \
                    '  do: clone the project, and run it in its folder' >&2
                  exit 1
                fi
                exec ./run create-environment "$@"
              '';
            }
          );
          meta.description = "Create a complete local Kubernetes environment";
        };
      });
    };
}
