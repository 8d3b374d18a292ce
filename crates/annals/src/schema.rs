//! `annals schema`: what data of a type must satisfy.

use domain::TypeName;
use proto::things::v1::{DeleteSchemaRequest, GetSchemaRequest, ListSchemasRequest, PutSchemaRequest};

use crate::{
    client::Client,
    name::NamespaceName,
    render,
    write::{Text, outcome},
};

/// Say what the data of a type in a namespace must satisfy: JSON Schema, draft 2020-12.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  echo '{\"required\":[\"title\"],\"properties\":{\"title\":{\"type\":\"string\"}}}' > note.json
  annals schema put example.com Note note.json
  annals put example.com/hello --type Note --data '{\"title\":\"Hello\"}'
  annals schema get example.com Note
  annals schema list example.com
  annals schema delete example.com Note

From then on every write of such a thing must satisfy it. A schema that things break is refused, and names them.
Each $ref leads to a place in the schema; patterns are regular expressions without look-around and back-references;
format is not asserted; absent data count as {}.")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Give a type a schema, or another one. The namespace must be registered.
    Put {
        #[command(flatten)]
        of: Of,

        /// The file that has it, or - for standard input. At most 64 KiB.
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Print the schema of a type.
    Get {
        #[command(flatten)]
        of: Of,
    },
    /// List the types of a namespace that have a schema.
    List {
        /// The namespace: github.com/repos.
        #[arg(value_name = "NS")]
        ns: NamespaceName,
    },
    /// Delete the schema of a type: its data may be anything again.
    Delete {
        #[command(flatten)]
        of: Of,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct Of {
    /// The namespace: github.com/repos.
    #[arg(value_name = "NS")]
    ns: NamespaceName,

    /// The type: Occupation, Page, Note.
    #[arg(value_name = "TYPE")]
    r#type: TypeName,
}

impl Of {
    fn parts(self) -> (String, String) {
        let Self { ns: NamespaceName(ns), r#type } = self;
        (ns.to_string(), r#type.as_str().into())
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let mut things = client.things();
    match args.verb {
        Verb::Put { of, file } => {
            let (ns, r#type) = of.parts();
            let text = if file == "-" { Text::Input } else { Text::File(file) };
            let answer = things.put_schema(PutSchemaRequest { ns, r#type, schema: text.read()? }).await?;
            render::schema_written(outcome(answer.metadata()), answer.get_ref(), is_json);
        }
        Verb::Get { of } => {
            let (ns, r#type) = of.parts();
            render::schema(&things.get_schema(GetSchemaRequest { ns, r#type }).await?.into_inner(), is_json);
        }
        Verb::List { ns: NamespaceName(ns) } => {
            let answer = things.list_schemas(ListSchemasRequest { ns: ns.to_string() }).await?.into_inner();
            render::schemas(&answer, is_json);
        }
        Verb::Delete { of } => {
            let (ns, r#type) = of.parts();
            things.delete_schema(DeleteSchemaRequest { ns: ns.clone(), r#type: r#type.clone() }).await?;
            if is_json {
                render::document("{}");
            } else {
                println!("type {} in {ns} has no schema any more", render::plain(&r#type));
            }
        }
    }
    Ok(())
}
